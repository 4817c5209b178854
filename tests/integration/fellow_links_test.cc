// Fellow workers over real sockets on loopback: who is let in, and what becomes of those who are
// not as they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/peer_session.h"
#include "cluster/fellows.h"
#include "crypto/system_random.h"
#include "http/http_server.h"
#include "http/worker_endpoints.h"
#include "loop/system_clock.h"
#include "rtc/certificate.h"
#include "session/session_fakes.h"

namespace kollator::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

crypto::SharedKey key_of(std::uint8_t fill) {
    crypto::SharedKey key;
    key.fill(fill);
    return key;
}

/// A worker's part in a cluster: it answers over real data channels what a fake service has.
class Party {
 public:
    Party(EventLoop& loop, std::string id, const crypto::SharedKey& key = key_of(7),
          const Clock& clock = system_clock())
        : chunks(loop),
          loop_(loop),
          id_(std::move(id)),
          key_(key),
          authenticator(key, id_, clock, crypto::system_random()) {
        session::SessionServices services{
            chunks, loop_, system_clock(),      metrics_,      {}, id_,
            "test", {},    [] { return "{}"; }, &authenticator};
        context_ = std::make_unique<session::SessionContext>(std::move(services));
        open(0);
    }
    ~Party() {
        fellows.reset();
        http_.reset();
        link_endpoint.reset();
        endpoint.reset();
    }

    void open(std::uint16_t port) {
        rtc::EndpointOptions options;
        options.bind_address = "127.0.0.1";
        options.port = port;
        auto opened = rtc::open_endpoint(loop_, system_clock(), crypto::system_random(),
                                         certificate, options);
        ASSERT_TRUE(opened.ok()) << opened.error().detail;
        endpoint = std::move(*opened);
        endpoint->accept_direct([this](rtc::PeerId peer) {
            auto session = make_session();
            session->set_peer(peer);
            return session;
        });
    }

    std::string direct_address() const {
        return rtc::format_direct_address(endpoint->direct_addresses().front());
    }
    /// Begins to look for fellows at these addresses.
    void meet(std::vector<std::string> addresses, Duration wait = seconds(30)) {
        fellows.reset();
        rtc::EndpointOptions udp;
        udp.bind_address = "127.0.0.1";
        link_endpoint = std::move(
            *rtc::open_endpoint(loop_, system_clock(), crypto::system_random(), certificate, udp));
        FellowsOptions options;
        options.addresses = std::move(addresses);
        options.wait = wait;
        fellows = std::make_unique<Fellows>(
            Fellows::Services{loop_, system_clock(), crypto::system_random(), *link_endpoint,
                              authenticator, metrics_},
            key_, certificate.fingerprint(), protocol::Hello{.role = protocol::Role::kWorker},
            std::move(options));
    }
    /// POST /rtc, answered by `accept`. Gives the URL.
    std::string serve(std::function<Result<rtc::Answer>(std::string_view offer)> accept) {
        http::HttpServerOptions options;
        options.bind_address = "127.0.0.1";
        http_ = std::move(*http::HttpServer::listen(loop_, options));
        http::WorkerHooks hooks;
        hooks.rtc_accept = [accept](std::string_view offer, auto&&, const auto& done) {
            auto answer = accept(offer);
            if (!answer) return done(answer.error());
            done(http::RtcAnswer{answer->peer, std::move(answer->sdp)});
        };
        hooks.rtc_candidates = [](auto&&, auto&&, const auto& done) { done(Status()); };
        hooks.rtc_restart = [](auto&&, auto&&, auto&&, const auto& done) { done(std::string()); };
        hooks.refresh = [](const std::function<void()>& done) { done(); };
        hooks.rtc_close = [](std::uint64_t) {};
        hooks.health = [] { return http::HealthReport(); };
        hooks.stats = [] { return http::WorkerStats(); };
        hooks.clear_cache = [](const std::function<void(std::size_t)>& on_done) { on_done(0); };
        hooks.metrics = [] { return std::string(); };
        hooks.objects = {[](auto&&...) {}, [](auto&&...) {}, [](auto&&...) {}, [](auto&&...) {}};
        http::add_worker_endpoints(*http_, std::move(hooks), {}, crypto::system_random());
        return "http://127.0.0.1:" + std::to_string(http_->port());
    }
    Result<rtc::Answer> accept(std::string_view offer) {
        auto session = make_session();
        app::PeerSession& observer = *session;
        auto answer = endpoint->accept(offer, std::move(session));
        if (answer) observer.set_peer(answer->peer);
        return answer;
    }
    FellowInfo only_fellow() const {
        const auto list = fellows->list();
        EXPECT_EQ(list.size(), 1U);
        return list.empty() ? FellowInfo{} : list[0];
    }
    std::size_t guests() const { return context_->stats().fellows; }

    const rtc::Certificate certificate = *rtc::Certificate::generate(1'763'800'000);
    std::unique_ptr<rtc::Endpoint> endpoint;
    std::unique_ptr<rtc::Endpoint> link_endpoint;  ///< as in a worker
    session::FakeChunkService chunks;
    std::unique_ptr<Fellows> fellows;

 private:
    std::unique_ptr<app::PeerSession> make_session() {
        app::PeerSession::Connection connection;
        connection.close = [this](rtc::PeerId peer, const std::string& reason) {
            endpoint->close(peer, reason);
        };
        connection.fingerprints = [this](rtc::PeerId peer) {
            std::optional<LinkFingerprints> ends;
            if (const auto offerer = endpoint->peer_fingerprint(peer)) {
                ends = LinkFingerprints{*offerer, certificate.fingerprint()};
            }
            return ends;
        };
        return std::make_unique<app::PeerSession>(*context_, "peer", std::move(connection), [] {});
    }

    EventLoop& loop_;
    const std::string id_;
    const crypto::SharedKey key_;
    MetricsRegistry metrics_;

 public:
    Authenticator authenticator;

 private:
    std::unique_ptr<session::SessionContext> context_;
    std::unique_ptr<http::HttpServer> http_;
};

class FellowsTest : public ::testing::Test {
 protected:
    bool until(const std::function<bool()>& done) { return loop.run_until(done, seconds(60)); }
    bool until_up(Party& party) {
        return until([&] { return party.only_fellow().state == LinkState::kUp; });
    }
    /// Until the only fellow of `party` is given up with words; gives those.
    std::string until_refused(Party& party) {
        EXPECT_TRUE(until([&] { return !party.only_fellow().error.empty(); }));
        EXPECT_NE(party.only_fellow().state, LinkState::kUp);
        return party.only_fellow().error;
    }
    /// A chunk that `party` would ask its fellow for, put into the fellow's hands.
    ChunkId owned_by_fellow(Party& party, Party& fellow, Bytes& bytes) {
        for (std::uint8_t i = 0;; ++i) {
            bytes.assign(100'000, i);
            const auto id = session::FakeChunkService::name_of<ChunkId>(bytes);
            ChunkSource::Options options{200'000, &budget};
            if (!party.fellows->fetch(
                    id, options, [](auto&&...) {}, [](auto&&) {}))
                continue;
            fellow.chunks.put(bytes);
            return id;
        }
    }
    std::unique_ptr<ChunkSource::Request> fetch(Party& party, const ChunkId& id) {
        result.reset();
        return party.fellows->fetch(
            id, {200'000, &budget}, [](auto&&...) {},
            [this](Result<SharedBuffer> got) { result = std::move(got); });
    }

    EventLoop loop;
    ByteBudget budget{10'000'000};
    std::optional<Result<SharedBuffer>> result;
};

TEST_F(FellowsTest, TwoWorkersProveThemselvesAndAskEachOther) {
    Party alice(loop, "alice");
    Party bob(loop, "bob");
    alice.meet({bob.direct_address()});
    ASSERT_TRUE(until_up(alice));
    EXPECT_EQ(alice.only_fellow().id, "bob");
    EXPECT_EQ(bob.guests(), 1U);
    Bytes bytes;
    const ChunkId id = owned_by_fellow(alice, bob, bytes);
    const auto request = fetch(alice, id);
    ASSERT_TRUE(until([&] { return result.has_value(); }));
    ASSERT_TRUE(result->ok()) << result->error().detail;
    EXPECT_EQ(Bytes((**result)->span().begin(), (**result)->span().end()), bytes);
    EXPECT_EQ(alice.only_fellow().counts.got, 1U);
}

TEST_F(FellowsTest, AWorkerWithAnotherKeyIsRefusedAndTheWordsSayWhy) {
    Party alice(loop, "alice");
    Party eve(loop, "eve", key_of(8));
    eve.meet({alice.direct_address()});
    EXPECT_THAT(until_refused(eve), HasSubstr("is the shared key the same"));
    EXPECT_EQ(alice.guests(), 0U);
    EXPECT_EQ(alice.authenticator.refused(AuthRefusal::kWrongKey), 1U);
}

TEST_F(FellowsTest, AWorkerWhoseClockIsWrongIsRefusedAndTheWordsSayHowFar) {
    ManualClock fast;
    fast.set_wall(system_clock().wall_now() + seconds(90));
    Party alice(loop, "alice");
    Party late(loop, "late", key_of(7), fast);
    late.meet({alice.direct_address()});
    EXPECT_THAT(until_refused(late), HasSubstr("s ahead, 60 are allowed: are the clocks set?"));
    EXPECT_EQ(alice.authenticator.refused(AuthRefusal::kStale), 1U);
}

/// Passes on every message between the one who offered to it and the one whom it offers to.
class Middle {
 public:
    Middle(Party& self, Party& victim) : self_(self), victim_(victim) {}

    Result<rtc::Answer> accept(std::string_view offer) {
        auto own = self_.endpoint->offer(std::make_unique<Peer>(*this, outer_, inner_));
        EXPECT_TRUE(self_.endpoint
                        ->open_channel(own->peer, {.label = "kollator", .protocol = "kollator.v1"})
                        .ok());
        auto answer = victim_.accept(own->sdp);
        EXPECT_TRUE(self_.endpoint->accept_answer(own->peer, answer->sdp).ok());
        return self_.endpoint->accept(offer, std::make_unique<Peer>(*this, inner_, outer_));
    }
    std::size_t passed_on = 0;

 private:
    struct End {
        rtc::DataChannel* channel = nullptr;
        std::vector<Bytes> early;
        void send(ByteSpan message) {
            if (channel == nullptr) {
                early.emplace_back(message.begin(), message.end());
            } else {
                EXPECT_TRUE(channel->send({}, message).ok());
            }
        }
    };
    struct Channel final : rtc::DataChannelObserver {
        Channel(Middle& its_middle, End& its_from, End& its_to)
            : middle(its_middle), from(its_from), to(its_to) {}
        void on_message(ByteSpan message, bool) override {
            ++middle.passed_on;
            to.send(message);
        }
        void on_writable() override {}
        void on_close() override { from.channel = nullptr; }
        Middle& middle;
        End& from;
        End& to;
    };
    struct Peer final : rtc::PeerObserver {
        Peer(Middle& its_middle, End& its_to, End& its_from)
            : middle(its_middle), to(its_to), from(its_from) {}
        std::unique_ptr<rtc::DataChannelObserver> on_channel(rtc::DataChannel& channel) override {
            from.channel = &channel;
            for (const Bytes& message : from.early) from.send(message);
            from.early.clear();
            return std::make_unique<Channel>(middle, from, to);
        }
        void on_closed(const std::string&) override {}
        Middle& middle;
        End& to;
        End& from;
    };

    Party& self_;
    Party& victim_;
    End inner_;  // to the victim
    End outer_;  // to the one who was deceived
};

TEST_F(FellowsTest, ARelayThatPutsItsOwnFingerprintsIntoTheSdpIsFoundOut) {
    Party alice(loop, "alice");
    Party bob(loop, "bob");
    Party mallory(loop, "mallory", key_of(9));
    Middle middle(mallory, bob);
    // What alice takes for bob's URL.
    alice.meet({mallory.serve([&](std::string_view offer) { return middle.accept(offer); })});
    EXPECT_THAT(until_refused(alice), HasSubstr("somebody stands in the middle"));
    EXPECT_GT(middle.passed_on, 3U) << "HELLO and AUTH went through";
    EXPECT_EQ(bob.guests(), 0U);
    EXPECT_EQ(bob.authenticator.refused(AuthRefusal::kProof), 1U);
    // Without mallory between them the same two get on.
    alice.meet({bob.serve([&](std::string_view offer) { return bob.accept(offer); })});
    ASSERT_TRUE(until_up(alice));
    EXPECT_EQ(bob.guests(), 1U);
}

TEST_F(FellowsTest, WhoIsSilentAboutChunksIsLeftAloneForAWhile) {
    Party alice(loop, "alice");
    Party bob(loop, "bob");
    alice.meet({bob.direct_address()}, milliseconds(100));
    ASSERT_TRUE(until_up(alice));
    Bytes bytes;
    const ChunkId id = owned_by_fellow(alice, bob, bytes);
    bob.chunks.hold_reads = true;
    for (int i = 0; i < Patience::kMaxTimeouts; ++i) {
        const auto request = fetch(alice, id);
        ASSERT_NE(request, nullptr);
        ASSERT_TRUE(until([&] { return result.has_value(); }));
        EXPECT_EQ(result->error().code, ErrorCode::kTimeout);
    }
    EXPECT_EQ(fetch(alice, id), nullptr) << "the object store is asked at once";
    EXPECT_EQ(alice.only_fellow().state, LinkState::kUp);
    EXPECT_FALSE(alice.only_fellow().usable);
    EXPECT_TRUE(until([&] { return alice.only_fellow().usable; })) << "it is given another chance";
}

TEST_F(FellowsTest, TheWorkersOwnAddressIsNoFault) {
    Party alice(loop, "alice");
    alice.meet({alice.direct_address()});
    ASSERT_TRUE(until([&] { return alice.only_fellow().unwanted; }));
    EXPECT_EQ(alice.authenticator.refused(AuthRefusal::kOwnId), 0U);
}

TEST_F(FellowsTest, TwoAddressesOfOneFellowMakeOneLink) {
    Party alice(loop, "alice");
    Party bob(loop, "bob");
    alice.meet({bob.direct_address(),
                bob.serve([&](std::string_view offer) { return bob.accept(offer); })});
    ASSERT_TRUE(until([&] {
        const auto list = alice.fellows->list();
        return (list[0].unwanted && list[1].state == LinkState::kUp) ||
               (list[1].unwanted && list[0].state == LinkState::kUp);
    }));
    EXPECT_EQ(alice.fellows->links(), 1U);
    ASSERT_TRUE(until([&] { return bob.guests() == 1; }));
}

TEST_F(FellowsTest, ALostFellowEndsItsRequestsAndIsFoundAgain) {
    Party alice(loop, "alice");
    auto bob = std::make_unique<Party>(loop, "bob");
    alice.meet({bob->direct_address()});
    ASSERT_TRUE(until_up(alice));
    Bytes bytes;
    const ChunkId id = owned_by_fellow(alice, *bob, bytes);
    bob->chunks.hold_reads = true;
    const auto request = fetch(alice, id);
    const std::uint16_t port = bob->endpoint->port();
    bob->endpoint.reset();
    ASSERT_TRUE(until([&] { return result.has_value(); }));
    EXPECT_EQ(result->error().code, ErrorCode::kUnavailable);
    EXPECT_NE(alice.only_fellow().state, LinkState::kUp);
    EXPECT_EQ(fetch(alice, id), nullptr);
    bob->open(port);
    ASSERT_TRUE(until_up(alice));
    EXPECT_EQ(alice.only_fellow().counts.connected, 2U);
}

TEST_F(FellowsTest, StoppingEndsRequestsAndAsksNobodyAnyMore) {
    Party alice(loop, "alice");
    Party bob(loop, "bob");
    alice.meet({bob.direct_address()});
    ASSERT_TRUE(until_up(alice));
    Bytes bytes;
    const ChunkId id = owned_by_fellow(alice, bob, bytes);
    bob.chunks.hold_reads = true;
    const auto request = fetch(alice, id);
    alice.fellows->stop();
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(fetch(alice, id), nullptr);
    EXPECT_TRUE(until([&] { return bob.guests() == 0; }));
}

}  // namespace
}  // namespace kollator::cluster
