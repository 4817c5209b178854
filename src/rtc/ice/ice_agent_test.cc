#include "rtc/ice/ice_agent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

SocketAddress address(std::string_view ip, std::uint16_t port) {
    return {*IpAddress::parse(ip), port};
}

Candidate host(const SocketAddress& where, std::uint16_t preference = 65535) {
    return {
        "1", candidate_priority(CandidateType::kHost, preference), where, CandidateType::kHost, {}};
}

const SocketAddress kWorker = address("192.0.2.1", 8081);
const SocketAddress kPeer = address("198.51.100.2", 50000);
const IceCredentials kWorkerCredentials{"workerXY", "workerpasswordworkerpass"};
const IceCredentials kPeerCredentials{"peerABCD", "peerpasswordpeerpassword"};

IceOptions options(IceRole role, const IceCredentials& credentials) {
    IceOptions out;
    out.role = role;
    out.local = credentials;
    out.transaction_prefix = 0xABCD0001;
    return out;
}

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

/// A worker's agent and a peer that the test plays message by message.
class ScriptedPeer : public ::testing::Test {
 protected:
    ScriptedPeer() : agent_(options(IceRole::kControlled, kWorkerCredentials), random_) {
        agent_.add_local_candidate(host(kWorker));
        agent_.set_remote_credentials(kPeerCredentials);
    }

    StunBuilder request(std::uint8_t number = 1) {
        return StunBuilder(StunClass::kRequest, kStunBinding, {9, 9, number});
    }
    Bytes signed_request(StunBuilder& builder) {
        return builder.username("workerXY:peerABCD")
            .integrity(kWorkerCredentials.password)
            .fingerprint()
            .finish();
    }
    void check_from(const SocketAddress& from, std::uint32_t priority, bool nominate) {
        StunBuilder builder = request();
        builder.priority(priority).ice_controlling(1);
        if (nominate) builder.use_candidate();
        receive(from, signed_request(builder));
    }
    void receive(const SocketAddress& from, const Bytes& datagram) {
        agent_.handle_datagram(clock_.now(), {kWorker.ip, from}, datagram);
    }
    /// Answers every check that the agent has sent, after the pacing let it send them.
    void answer_checks(Duration during = seconds(1)) {
        const TimePoint end = clock_.now() + during;
        while (clock_.now() < end) {
            agent_.handle_timeout(clock_.now());
            while (const auto out = agent_.poll_output()) answer(*out);
            clock_.advance(milliseconds(50));
        }
    }
    void answer(const IceDatagram& datagram) {
        const Result<StunMessage> message = parse_stun(datagram.bytes);
        ASSERT_TRUE(message.ok());
        if (message->message_class != StunClass::kRequest) return;
        receive(datagram.path.remote,
                StunBuilder(StunClass::kSuccess, kStunBinding, message->transaction)
                    .xor_mapped_address(kWorker)
                    .integrity(kPeerCredentials.password)
                    .fingerprint()
                    .finish());
    }
    void validate(const SocketAddress& from, std::uint32_t priority, bool nominate) {
        check_from(from, priority, nominate);
        answer_checks(milliseconds(100));
    }
    void discard_output() {
        while (agent_.poll_output()) {
        }
    }

    ManualClock clock_;
    SeededRandom random_{7};
    IceAgent agent_;
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
    EXPECT_TRUE(network.worker().is_valid(kPeer));
    EXPECT_FALSE(network.worker().is_valid(kWorker));
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

TEST_F(ScriptedPeer, GetsNoAnswerWithoutProof) {
    StunBuilder wrong_key = request();
    receive(kPeer,
            wrong_key.username("workerXY:peerABCD").integrity("guess").fingerprint().finish());
    StunBuilder wrong_name = request();
    receive(
        kPeer,
        wrong_name.username("workerXX:peerABCD").integrity(kWorkerCredentials.password).finish());
    StunBuilder wrong_peer = request();
    receive(
        kPeer,
        wrong_peer.username("workerXY:somebody").integrity(kWorkerCredentials.password).finish());
    StunBuilder no_colon = request();
    receive(kPeer, no_colon.username("workerXY").integrity(kWorkerCredentials.password).finish());
    receive(kPeer, request().username("workerXY:peerABCD").finish());
    receive(kPeer, request().finish());
    receive(kPeer, {0x00, 0x01, 0x02});
    EXPECT_FALSE(agent_.poll_output());
    EXPECT_EQ(agent_.pair_count(), 0u);
    EXPECT_FALSE(agent_.next_timeout());
}

TEST_F(ScriptedPeer, IsToldWhichAttributesAreUnknown) {
    StunBuilder builder = request();
    builder.attribute(static_cast<StunAttribute>(0x7001), {});
    receive(kPeer, signed_request(builder));
    const auto out = agent_.poll_output();
    ASSERT_TRUE(out);
    const Result<StunMessage> message = parse_stun(out->bytes);
    ASSERT_TRUE(message.ok() && message->error);
    EXPECT_EQ(message->error->code, 420);
    EXPECT_EQ(agent_.pair_count(), 0u);
}

TEST_F(ScriptedPeer, WithALowerTieBreakerIsToldOfTheConflict) {
    // The agent is controlled and so says the peer: with the lower tie-breaker it must stay so.
    StunBuilder low = request();
    low.ice_controlled(0);
    receive(kPeer, signed_request(low));
    EXPECT_EQ(agent_.role(), IceRole::kControlling);

    StunBuilder lower = request();
    lower.ice_controlling(0);
    receive(kPeer, signed_request(lower));
    agent_.poll_output();
    EXPECT_EQ(agent_.role(), IceRole::kControlling);
    bool refused = false;
    while (const auto out = agent_.poll_output()) {
        const Result<StunMessage> message = parse_stun(out->bytes);
        ASSERT_TRUE(message.ok());
        refused |= message->error && message->error->code == 487;
    }
    EXPECT_TRUE(refused);
}

TEST_F(ScriptedPeer, AnswerFromElsewhereProvesNothing) {
    check_from(kPeer, 100, true);
    while (auto out = agent_.poll_output()) {
        out->path.remote = address("203.0.113.1", 1);
        answer(*out);
    }
    EXPECT_EQ(agent_.state(), IceState::kChecking);
    EXPECT_FALSE(agent_.send_path());
}

TEST_F(ScriptedPeer, AggressiveNominationEndsOnTheBestPair) {
    const SocketAddress worse = address("198.51.100.3", 1);
    const SocketAddress better = address("198.51.100.3", 2);
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, worse);
    validate(better, 200, true);
    EXPECT_EQ(agent_.send_path()->remote, better);
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, better);
}

TEST_F(ScriptedPeer, LaterNominationOfAWorsePairHolds) {
    const SocketAddress worse = address("198.51.100.3", 1);
    const SocketAddress better = address("198.51.100.3", 2);
    validate(better, 200, true);
    validate(worse, 100, false);
    EXPECT_EQ(agent_.send_path()->remote, better);
    answer_checks(seconds(3));
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, worse);
}

TEST_F(ScriptedPeer, SendsOnAValidPairBeforeNomination) {
    validate(kPeer, 100, false);
    ASSERT_TRUE(agent_.send_path());
    EXPECT_EQ(agent_.send_path()->remote, kPeer);
}

TEST_F(ScriptedPeer, CannotGrowTheCheckListWithoutBound) {
    validate(kPeer, 1000, true);
    for (std::uint16_t port = 1; port <= 1000; ++port) {
        check_from(address("203.0.113.5", port), 1, false);
        discard_output();
    }
    EXPECT_LE(agent_.pair_count(), IceAgent::kMaxPairs);
    EXPECT_EQ(agent_.send_path()->remote, kPeer);
}

TEST_F(ScriptedPeer, IsCheckedAtAPaceThatIsBounded) {
    for (std::uint16_t port = 1; port <= 100; ++port) {
        agent_.add_remote_candidate(host(address("198.51.100.9", port)));
    }
    EXPECT_EQ(agent_.pair_count(), IceAgent::kMaxRemoteCandidates);
    std::map<SocketAddress, int> sent;
    for (int turn = 0; turn < 8; ++turn) {
        std::size_t fresh = 0;
        agent_.handle_timeout(clock_.now());
        agent_.handle_timeout(clock_.now());
        while (const auto out = agent_.poll_output()) fresh += sent[out->path.remote]++ == 0;
        EXPECT_EQ(fresh, 1u);
        clock_.advance(IceAgent::kPacing);
    }
}

TEST_F(ScriptedPeer, IsGivenTimeToBegin) {
    IceOptions patient = options(IceRole::kControlled, kWorkerCredentials);
    patient.ordinary_checks_from = clock_.now() + seconds(1);
    IceAgent agent(patient, random_);
    agent.set_remote_credentials(kPeerCredentials);
    agent.add_remote_candidate(host(address("198.51.100.9", 9)));
    agent.handle_timeout(clock_.now());
    EXPECT_FALSE(agent.poll_output());
    EXPECT_EQ(agent.next_timeout(), patient.ordinary_checks_from);
    // What a check of the peer triggers does not wait.
    StunBuilder builder = request();
    agent.handle_datagram(clock_.now(), {kWorker.ip, kPeer}, signed_request(builder));
    EXPECT_TRUE(agent.poll_output());
    EXPECT_TRUE(agent.poll_output());
    clock_.advance(seconds(1));
    agent.handle_timeout(clock_.now());
    const auto out = agent.poll_output();
    ASSERT_TRUE(out);
}

TEST_F(ScriptedPeer, IsGivenUpAfterSevenTransmissions) {
    agent_.add_remote_candidate(host(kPeer));
    int sent = 0;
    while (const auto when = agent_.next_timeout()) {
        if (*when > clock_.now()) clock_.advance(*when - clock_.now());
        agent_.handle_timeout(clock_.now());
        while (agent_.poll_output()) ++sent;
        ASSERT_LE(sent, 7);
    }
    EXPECT_EQ(sent, 7);
    // A check of the peer's own begins anew.
    validate(kPeer, 1, true);
    EXPECT_EQ(agent_.state(), IceState::kConnected);
}

TEST_F(ScriptedPeer, IsNotCheckedWithoutCredentialsOrFamily) {
    IceOptions v4_only = options(IceRole::kControlled, kWorkerCredentials);
    v4_only.ipv6 = false;
    IceAgent agent(v4_only, random_);
    agent.add_remote_candidate(host(address("2001:db8::1", 5)));
    EXPECT_EQ(agent.pair_count(), 0u);
    agent.add_remote_candidate(host(kPeer));
    EXPECT_FALSE(agent.next_timeout());
    agent.set_remote_credentials(kPeerCredentials);
    EXPECT_TRUE(agent.next_timeout());
}

TEST_F(ScriptedPeer, AnswersFromTheAddressThatWasAsked) {
    const IpAddress second = *IpAddress::parse("192.0.2.77");
    StunBuilder builder = request();
    agent_.handle_datagram(clock_.now(), {second, kPeer}, signed_request(builder));
    const auto out = agent_.poll_output();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->path.local, second);
    const Result<StunMessage> message = parse_stun(out->bytes);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->mapped_address, kPeer);
    EXPECT_TRUE(message->has_fingerprint);
    EXPECT_TRUE(verify_integrity(out->bytes, *message, kWorkerCredentials.password));
}

}  // namespace
}  // namespace kollator::rtc
