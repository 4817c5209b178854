#include "rtc/ice/ice_agent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "rtc/testing/ice_parties.h"

namespace kollator::rtc {
namespace {

/// Two agents and what is between them: a delay, and a loss with a seed, under a manual clock.
class Network {
 public:
    explicit Network(std::uint64_t seed, IceRole peer_role = IceRole::kControlling,
                     IceRole worker_role = IceRole::kControlled)
        : random_(seed),
          worker_(options(worker_role, kWorkerCredentials), random_),
          peer_(options(peer_role, kPeerCredentials), random_) {
        worker_.add_local_candidate(host(kWorker));
        peer_.add_local_candidate(host(kPeer));
        worker_.set_remote_credentials(kPeerCredentials);
        peer_.set_remote_credentials(kWorkerCredentials);
    }

    IceAgent& worker() { return worker_; }
    IceAgent& peer() { return peer_; }
    TimePoint now() const { return clock_.now(); }
    void set_loss_percent(unsigned percent) { loss_percent_ = percent; }
    void move_peer(const SocketAddress& where) { peer_address_ = where; }
    void cut_peer() { peer_alive_ = false; }
    void revive_peer() { peer_alive_ = true; }
    void mute_peer_answers() { mute_peer_answers_ = true; }
    std::size_t sent_by_worker() const { return sent_by_worker_; }

    /// Runs until `done` or for `limit`; gives whether `done` held.
    template <typename Done>
    bool run(Duration limit, Done done) {
        const TimePoint end = clock_.now() + limit;
        while (true) {
            drain();
            if (done()) return true;
            const TimePoint next = next_event();
            if (next > end) {
                clock_.advance(end - clock_.now());
                return false;
            }
            if (next > clock_.now()) clock_.advance(next - clock_.now());
            deliver();
            tick(worker_);
            if (peer_alive_) tick(peer_);
        }
    }
    void run_for(Duration duration) {
        run(duration, [] { return false; });
    }
    bool connect(Duration limit) {
        return run(limit, [this] {
            return worker_.state() == IceState::kConnected &&
                   peer_.state() == IceState::kConnected && worker_.send_path();
        });
    }

 private:
    struct Packet {
        TimePoint at;
        bool to_worker;
        SocketAddress peer_side;
        Bytes bytes;
    };
    static constexpr Duration kDelay = milliseconds(20);

    void drain() {
        while (auto out = worker_.poll_output()) {
            ++sent_by_worker_;
            send({clock_.now() + kDelay, false, out->path.remote, std::move(out->bytes)});
        }
        while (auto out = peer_.poll_output()) {
            const bool is_answer = (out->bytes[0] & 1) != 0;
            if (mute_peer_answers_ && is_answer) continue;
            if (!peer_alive_ || out->path.remote != kWorker) continue;
            send({clock_.now() + kDelay, true, peer_address_, std::move(out->bytes)});
        }
    }
    void send(Packet packet) {
        if (random_.u32() % 100 >= loss_percent_) packets_.push_back(std::move(packet));
    }
    void deliver() {
        for (std::size_t i = 0; i < packets_.size();) {
            if (packets_[i].at > clock_.now()) {
                ++i;
                continue;
            }
            const Packet packet = std::move(packets_[i]);
            packets_.erase(packets_.begin() + static_cast<std::ptrdiff_t>(i));
            if (packet.to_worker) {
                worker_.handle_datagram(clock_.now(), {kWorker.ip, packet.peer_side}, packet.bytes);
            } else if (peer_alive_ && packet.peer_side == peer_address_) {
                peer_.handle_datagram(clock_.now(), {kPeer.ip, kWorker}, packet.bytes);
            }
        }
    }
    void tick(IceAgent& agent) {
        const auto when = agent.next_timeout();
        if (when && *when <= clock_.now()) agent.handle_timeout(clock_.now());
    }
    TimePoint next_event() const {
        TimePoint next = TimePoint::max();
        for (const Packet& packet : packets_) next = std::min(next, packet.at);
        next = std::min(next, worker_.next_timeout().value_or(TimePoint::max()));
        if (peer_alive_) next = std::min(next, peer_.next_timeout().value_or(TimePoint::max()));
        return next;
    }

    ManualClock clock_;
    SeededRandom random_;
    IceAgent worker_;
    IceAgent peer_;
    SocketAddress peer_address_ = kPeer;
    std::vector<Packet> packets_;
    unsigned loss_percent_ = 0;
    bool peer_alive_ = true;
    bool mute_peer_answers_ = false;
    std::size_t sent_by_worker_ = 0;
};

TEST(IceAgent, ConnectsWithinFourRoundTrips) {
    Network network(1);
    network.peer().add_remote_candidate(host(kWorker));
    network.worker().add_remote_candidate(host(kPeer));
    ASSERT_TRUE(network.connect(milliseconds(160)));
    EXPECT_EQ(network.worker().send_path()->remote, kPeer);
    EXPECT_EQ(network.worker().send_path()->local, kWorker.ip);
}

TEST(IceAgent, FindsAPeerThatAnnouncedNothing) {
    Network network(2);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    EXPECT_EQ(network.worker().send_path()->remote, kPeer);
}

TEST(IceAgent, TellsHearingThenValidationThenSelection) {
    Network network(3);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    for (const auto kind :
         {IceEvent::Kind::kHeard, IceEvent::Kind::kValidated, IceEvent::Kind::kSelected}) {
        const auto event = network.worker().poll_event();
        ASSERT_TRUE(event);
        EXPECT_EQ(event->kind, kind);
        EXPECT_EQ(event->path.remote, kPeer);
    }
    EXPECT_TRUE(network.worker().is_valid({IpAddress(), kPeer}));
    EXPECT_FALSE(network.worker().is_valid({IpAddress(), kWorker}));
}

TEST(IceAgent, ConnectsOverALossyNetwork) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Network network(seed);
        network.set_loss_percent(20);
        network.peer().add_remote_candidate(host(kWorker));
        EXPECT_TRUE(network.connect(seconds(30))) << "seed " << seed;
    }
}

TEST(IceAgent, StaysConnectedWhileTenPercentAreLost) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Network network(seed);
        network.set_loss_percent(10);
        network.peer().add_remote_candidate(host(kWorker));
        ASSERT_TRUE(network.connect(seconds(30))) << "seed " << seed;
        network.run_for(std::chrono::minutes(10));
        EXPECT_EQ(network.worker().state(), IceState::kConnected) << "seed " << seed;
    }
}

TEST(IceAgent, ResolvesEqualRoles) {
    for (const IceRole role : {IceRole::kControlling, IceRole::kControlled}) {
        for (std::uint64_t seed = 1; seed <= 8; ++seed) {
            Network network(seed, role, role);
            network.peer().add_remote_candidate(host(kWorker));
            ASSERT_TRUE(network.connect(seconds(5))) << "seed " << seed;
            network.run_for(seconds(2));
            EXPECT_NE(network.worker().role(), network.peer().role()) << "seed " << seed;
        }
    }
}

TEST(IceAgent, NoticesAPeerThatVanished) {
    Network network(5);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.run_for(seconds(30));
    ASSERT_EQ(network.worker().state(), IceState::kConnected);
    network.cut_peer();
    ASSERT_TRUE(
        network.run(seconds(13), [&] { return network.worker().state() == IceState::kFailed; }));
    EXPECT_FALSE(network.worker().send_path());
    EXPECT_FALSE(network.worker().next_timeout());
    const std::size_t sent = network.sent_by_worker();
    network.run_for(seconds(30));
    EXPECT_EQ(network.sent_by_worker(), sent);
}

// The last proof is then at most 6 s old, and an unanswered check is repeated each second.
TEST(IceAgent, SurvivesABreakOfFiveSecondsAtAnyTime) {
    for (int phase = 0; phase < 24; ++phase) {
        Network network(6);
        network.peer().add_remote_candidate(host(kWorker));
        ASSERT_TRUE(network.connect(seconds(1)));
        network.run_for(seconds(20) + milliseconds(250) * phase);
        network.cut_peer();
        network.run_for(seconds(5));
        network.revive_peer();
        network.run_for(seconds(30));
        EXPECT_EQ(network.worker().state(), IceState::kConnected) << phase;
    }
}

// RFC 7675: a peer can send requests from any address that it names; only answers prove consent.
TEST(IceAgent, DoesNotTakeRequestsForConsent) {
    Network network(7);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.mute_peer_answers();
    EXPECT_TRUE(
        network.run(seconds(13), [&] { return network.worker().state() == IceState::kFailed; }));
}

TEST(IceAgent, ChecksConsentAboutEveryFiveSeconds) {
    Network network(8);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.run_for(seconds(1));
    const std::size_t before = network.sent_by_worker();
    network.run_for(seconds(100));
    // Our own 17 to 25, and as many answers to the peer's.
    EXPECT_GE(network.sent_by_worker() - before, 34u);
    EXPECT_LE(network.sent_by_worker() - before, 50u);
}

TEST(IceAgent, FollowsAPeerWhoseAddressChanged) {
    Network network(9);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.run_for(seconds(10));
    const SocketAddress moved = address("203.0.113.9", 1234);
    network.move_peer(moved);
    ASSERT_TRUE(network.run(seconds(12), [&] {
        return network.worker().send_path() && network.worker().send_path()->remote == moved;
    }));
    network.run_for(seconds(60));
    EXPECT_EQ(network.worker().state(), IceState::kConnected);
}

// One that waits for data says something at last (peer/liveness.h), and then not at its next turn
// to check consent, which may be six seconds away, but at once.
TEST(IceAgent, IsFollowedSoonWhereItSendsFromANewAddress) {
    for (int phase = 0; phase < 12; ++phase) {
        Network network(10);
        network.peer().add_remote_candidate(host(kWorker));
        ASSERT_TRUE(network.connect(seconds(1)));
        network.run_for(seconds(10) + milliseconds(500) * phase);
        const SocketAddress moved = address("203.0.113.9", 1234);
        network.move_peer(moved);
        network.run_for(milliseconds(1500));
        network.peer().note_sent(network.now());
        EXPECT_TRUE(network.run(milliseconds(200), [&] {
            return network.worker().send_path()->remote == moved;
        })) << phase;
    }
}

TEST(IceAgent, DoesNotCheckAPathThatIsInUseMoreOften) {
    Network network(11);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.run_for(seconds(1));
    const std::size_t before = network.sent_by_worker();
    for (int i = 0; i < 1000; ++i) {
        network.run_for(milliseconds(100));
        network.worker().note_data(network.now(), *network.worker().send_path());
        network.worker().note_sent(network.now());
    }
    // As ChecksConsentAboutEveryFiveSeconds, in as many seconds.
    EXPECT_LE(network.sent_by_worker() - before, 50u);
}

TEST(IceAgent, ChecksAPathThatIsSilentOnceASecondAtMost) {
    Network network(12);
    network.peer().add_remote_candidate(host(kWorker));
    ASSERT_TRUE(network.connect(seconds(1)));
    network.run_for(seconds(1));
    const std::size_t before = network.sent_by_worker();
    for (int i = 0; i < 100; ++i) {
        network.run_for(milliseconds(100));
        network.worker().note_sent(network.now());
    }
    // Ten of our own, and answers to the peer's two or three.
    EXPECT_LE(network.sent_by_worker() - before, 14u);
}

}  // namespace
}  // namespace kollator::rtc
