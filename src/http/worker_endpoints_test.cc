#include "http/worker_endpoints.h"

#include <gtest/gtest.h>

#include "http/pending_offers.h"
#include "tests/support/loop_thread.h"
#include "tests/support/raw_http_client.h"

namespace kollator::http {
namespace {

using testing::LoopThread;
using testing::RawHttpClient;
using testing::RawResponse;

const std::string kSdp = "Content-Type: application/sdp\r\n";
const std::string kFragment = "Content-Type: application/trickle-ice-sdpfrag\r\n";

class WorkerEndpointsTest : public ::testing::Test {
 protected:
    void TearDown() override {
        thread_.run([&] { server_.reset(); });
    }

    void start(const std::string& token = "") {
        thread_.run([&] {
            server_ = *HttpServer::listen(thread_.loop(), {.bind_address = "127.0.0.1"});
            SeededRandom random(7);
            add_worker_endpoints(*server_, hooks(), {.admin_token = token}, random);
        });
        client_ = std::make_unique<RawHttpClient>(server_->port());
    }

    WorkerHooks hooks() {
        WorkerHooks hooks;
        hooks.health = [this] {
            return HealthReport{"w<1>", "0.1", 5, {{"store", store_, "fine & dandy"}}};
        };
        hooks.stats = [this] {
            WorkerStats stats;
            stats.shards = {{.port = 8081, .active = refreshed_}};
            return stats;
        };
        hooks.objects.chunks = [](const ListQuery&, const auto& done) { done(ChunkListing{}); };
        hooks.objects.torrents = [](const ListQuery&, const auto& done) { done(TorrentListing{}); };
        hooks.objects.remove_chunk = [](const ChunkId&, const auto& done) { done(Removal{}); };
        hooks.objects.remove_torrent = [](const MetadataId&, const auto& done) { done(Removal{}); };
        hooks.clear_cache = [this](std::function<void(std::size_t)> done) {
            thread_.loop().post([done] { done(12); });
        };
        hooks.metrics = [] { return "a 1\n"; };
        hooks.refresh = [this](std::function<void()> done) {
            thread_.loop().post([this, done = std::move(done)] {
                ++refreshed_;
                done();
            });
        };
        // At once or later: a worker may do either.
        hooks.rtc_accept = [this](std::string_view offer, std::shared_ptr<void> pending,
                                  const auto& done) {
            if (refusal_) return done(*refusal_);
            pending_.push_back(std::move(pending));
            thread_.loop().post([done, sdp = "answer to " + std::string(offer)] {
                done(RtcAnswer{77, sdp});
            });
        };
        hooks.rtc_candidates = [this](std::uint64_t peer,
                                      const std::vector<std::string>& candidates,
                                      const auto& done) {
            if (refusal_) return done(*refusal_);
            for (const std::string& candidate : candidates) {
                candidates_.push_back(std::to_string(peer) + " " + candidate);
            }
            thread_.loop().post([done] { done(Status()); });
        };
        hooks.rtc_restart = [this](std::uint64_t peer, const std::string& ufrag,
                                   const std::string& password, const auto& done) {
            if (refusal_) return done(*refusal_);
            restarted_ = std::to_string(peer) + " " + ufrag + ":" + password;
            thread_.loop().post(
                [done, text = std::string(ufrag == "same" ? "" : "a=ice-ufrag:worker\r\n")] {
                    done(text);
                });
        };
        hooks.rtc_close = [this](std::uint64_t peer) { closed_ = peer; };
        hooks.dht = dht_;
        return hooks;
    }

    int rtc_status(ErrorCode code) {
        thread_.run([&] { refusal_ = make_error(code, "because"); });
        return client_->exchange("POST", "/rtc", "v=0", kSdp).status;
    }

    LoopThread thread_;
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<RawHttpClient> client_;
    CheckStatus store_ = CheckStatus::kOk;
    std::optional<Error> refusal_;
    std::vector<std::string> candidates_;
    std::vector<std::shared_ptr<void>> pending_;
    std::uint64_t closed_ = 0;
    std::uint64_t refreshed_ = 0;
    std::string restarted_;
    DhtHooks dht_;
};

TEST_F(WorkerEndpointsTest, HealthIs503OnlyForAnError) {
    start();
    EXPECT_EQ(client_->exchange("GET", "/health").status, 200);
    thread_.run([&] { store_ = CheckStatus::kWarn; });
    EXPECT_EQ(client_->exchange("GET", "/health").status, 200);
    thread_.run([&] { store_ = CheckStatus::kError; });
    const RawResponse response = client_->exchange("GET", "/health");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.header("cache-control"), "no-store");
    EXPECT_NE(response.body.find("\"status\":\"error\""), std::string::npos);
}

TEST_F(WorkerEndpointsTest, ShowsStatsMetricsAndAPage) {
    start();
    const std::string stats = client_->exchange("GET", "/stats").body;
    EXPECT_NE(stats.find("\"cache\":{"), std::string::npos);
    EXPECT_NE(stats.find("\"shards\":[{\"active\":1,\"port\":8081,"), std::string::npos) << stats;
    const RawResponse metrics = client_->exchange("GET", "/metrics");
    EXPECT_EQ(metrics.body, "a 1\n");
    EXPECT_EQ(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const RawResponse page = client_->exchange("GET", "/");
    EXPECT_NE(page.body.find("w&lt;1&gt;"), std::string::npos);
    EXPECT_NE(page.body.find("fine &amp; dandy"), std::string::npos);
    EXPECT_EQ(page.header("content-security-policy").find("default-src 'none'"), 0u);
}

TEST_F(WorkerEndpointsTest, ClearsTheCacheForThisMachineOnlyWhereNoTokenIsSet) {
    start();
    EXPECT_EQ(client_->exchange("POST", "/cache/clear").body, "{\"cleared\":12}");
    EXPECT_EQ(client_->exchange("POST", "/cache/clear", "", "Origin: http://evil\r\n").status, 403);
    EXPECT_EQ(client_->exchange("GET", "/cache/clear").status, 405);
    EXPECT_EQ(client_->exchange("POST", "/dht/announce").status, 501);
}

TEST_F(WorkerEndpointsTest, ClearsTheCacheWithTheTokenWhereOneIsSet) {
    start("hunter22");
    const RawResponse refused = client_->exchange("POST", "/cache/clear");
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(refused.header("www-authenticate"), "Bearer realm=\"kollator\"");
    const std::string good = "Authorization: Bearer hunter22\r\n";
    EXPECT_EQ(client_->exchange("POST", "/cache/clear", "", good).status, 200);
    EXPECT_EQ(client_->exchange("POST", "/dht/announce", "", good).status, 501);
    EXPECT_EQ(client_->exchange("POST", "/dht/announce").status, 401);
}

TEST_F(WorkerEndpointsTest, TheDhtIsAskedByNameAndByKey) {
    dht_.announce = [] { return Result<std::size_t>(5); };
    dht_.look_up = [](const ChunkId& id, const DhtHooks::OnPeers& on_done) {
        if (id == ChunkId()) return on_done(make_error(ErrorCode::kLimit, "too many look-ups"));
        on_done(std::vector<DhtPeer>{{"1.2.3.4", 8081}, {"2a00::1", 1}});
    };
    dht_.heard = [](const InfoHash&) { return std::vector<DhtPeer>{{"1.2.3.4", 1}}; };
    start();
    EXPECT_EQ(client_->exchange("POST", "/dht/announce").body, "{\"announced\":5}");
    const std::string name(64, 'a');
    const std::string key(40, 'a');
    EXPECT_EQ(client_->exchange("GET", "/dht/lookup/" + name).body,
              "{\"hash\":\"" + name + "\",\"infoHash\":\"" + key +
                  "\",\"peers\":[{\"address\":\"1.2.3.4\",\"family\":4,\"port\":8081},"
                  "{\"address\":\"2a00::1\",\"family\":6,\"port\":1}]}");
    const RawResponse busy = client_->exchange("GET", "/dht/lookup/" + std::string(64, '0'));
    EXPECT_EQ(busy.status, 503);
    EXPECT_EQ(busy.header("retry-after"), "5");
    EXPECT_EQ(client_->exchange("GET", "/dht/lookup/" + key).status, 400);
    for (const std::string& hash : {name, key}) {
        EXPECT_NE(client_->exchange("GET", "/dht/peers/" + hash).body.find("1.2.3.4"),
                  std::string::npos);
    }
    EXPECT_EQ(client_->exchange("GET", "/dht/peers/xyz").status, 400);
}

TEST_F(WorkerEndpointsTest, AnOfferIsAnsweredAndItsSessionCanBeTrickledAndEnded) {
    start();
    const RawResponse answer =
        client_->exchange("POST", "/rtc", "v=0", kSdp + "Origin: https://a.example\r\n");
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.header("content-type"), "application/sdp");
    EXPECT_EQ(answer.body, "answer to v=0");
    EXPECT_EQ(answer.header("access-control-allow-origin"), "*");
    EXPECT_EQ(answer.header("access-control-expose-headers"), "Location, Retry-After");
    const std::string session = answer.header("location");
    ASSERT_TRUE(session.starts_with("/rtc/4d-")) << session;

    const std::string body =
        "a=candidate:1 1 UDP 1 192.0.2.1 5 typ host\r\na=end-of-candidates\r\n";
    EXPECT_EQ(client_->exchange("PATCH", session, body, kFragment).status, 204);
    EXPECT_EQ(candidates_,
              (std::vector<std::string>{"77 candidate:1 1 UDP 1 192.0.2.1 5 typ host", "77 "}));
    EXPECT_EQ(client_->exchange("DELETE", session).status, 204);
    EXPECT_EQ(closed_, 77u);
}

TEST_F(WorkerEndpointsTest, RefusesOffersAsTheContractSays) {
    start();
    EXPECT_EQ(client_->exchange("POST", "/rtc", "v=0").status, 415);
    EXPECT_EQ(rtc_status(ErrorCode::kInvalid), 400);
    EXPECT_EQ(rtc_status(ErrorCode::kNotFound), 415);
    EXPECT_EQ(rtc_status(ErrorCode::kInternal), 500);
    EXPECT_EQ(rtc_status(ErrorCode::kLimit), 503);
    const RawResponse full = client_->exchange("POST", "/rtc", "v=0", kSdp);
    EXPECT_EQ(full.header("retry-after"), "5");
    EXPECT_NE(full.body.find("because"), std::string::npos);
    EXPECT_EQ(client_
                  ->exchange("OPTIONS", "/rtc/x", "",
                             "Origin: http://a\r\nAccess-Control-Request-Method: PATCH\r\n")
                  .header("access-control-allow-methods"),
              "PATCH, DELETE, OPTIONS");
}

TEST_F(WorkerEndpointsTest, RestartsIceForNewCredentials) {
    start();
    const std::string session = client_->exchange("POST", "/rtc", "v=0", kSdp).header("location");
    const auto restarted =
        client_->exchange("PATCH", session, "a=ice-ufrag:new\r\na=ice-pwd:password\r\n", kFragment);
    EXPECT_EQ(restarted.status, 200);
    EXPECT_EQ(restarted.body, "a=ice-ufrag:worker\r\n");
    EXPECT_EQ(restarted.header("content-type"), "application/trickle-ice-sdpfrag");
    EXPECT_EQ(restarted_, "77 new:password");
    const std::string same = "a=ice-ufrag:same\r\na=ice-pwd:p\r\na=end-of-candidates\r\n";
    EXPECT_EQ(client_->exchange("PATCH", session, same, kFragment).status, 204);
    EXPECT_EQ(candidates_, (std::vector<std::string>{"77 "}));
    thread_.run([&] { refusal_ = make_error(ErrorCode::kInvalid, "too short"); });
    EXPECT_EQ(client_->exchange("PATCH", session, same, kFragment).status, 400);
    thread_.run([&] { refusal_ = make_error(ErrorCode::kNotFound, "gone"); });
    EXPECT_EQ(client_->exchange("PATCH", session, same, kFragment).status, 404);
}

TEST_F(WorkerEndpointsTest, RefusesTricklesThatAreWrong) {
    start();
    const std::string session = client_->exchange("POST", "/rtc", "v=0", kSdp).header("location");
    EXPECT_EQ(client_->exchange("PATCH", session, "a=candidate:1").status, 415);
    EXPECT_EQ(client_->exchange("PATCH", session, "nonsense", kFragment).status, 400);
    EXPECT_EQ(client_->exchange("PATCH", "/rtc/4d-00", "a=candidate:1", kFragment).status, 404);
    EXPECT_EQ(client_->exchange("DELETE", "/rtc/4d").status, 404);
    EXPECT_EQ(closed_, 0u);
    thread_.run([&] { refusal_ = make_error(ErrorCode::kInvalid, "no candidate"); });
    EXPECT_EQ(client_->exchange("PATCH", session, "a=candidate:1", kFragment).status, 400);
    thread_.run([&] { refusal_ = make_error(ErrorCode::kNotFound, "gone"); });
    EXPECT_EQ(client_->exchange("PATCH", session, "a=candidate:1", kFragment).status, 404);
}

TEST_F(WorkerEndpointsTest, BoundsWhatOneAddressBeginsAndDoesNotFinish) {
    start();
    const auto status = [this] { return client_->exchange("POST", "/rtc", "v=0", kSdp).status; };
    for (int i = 0; i < 64; ++i) ASSERT_EQ(status(), 201) << i;
    const RawResponse refused = client_->exchange("POST", "/rtc", "v=0", kSdp);
    EXPECT_EQ(refused.status, 429);
    EXPECT_NE(refused.header("retry-after"), "");
    EXPECT_NE(refused.body.find("not up yet"), std::string::npos);
    // One of them is up, or has ended.
    thread_.run([&] { pending_.pop_back(); });
    EXPECT_EQ(status(), 201);
    EXPECT_EQ(status(), 429);
    // One that is refused is not pending.
    thread_.run([&] { pending_.clear(); });
    for (int i = 0; i < 70; ++i) ASSERT_EQ(rtc_status(ErrorCode::kInvalid), 400);
}

TEST(PendingOffers, AreOfAnAddressOrAnIpv6Network) {
    PendingOffers offers(1);
    const auto first = offers.begin("192.0.2.1");
    EXPECT_TRUE(first);
    EXPECT_FALSE(offers.begin("192.0.2.1"));
    EXPECT_TRUE(offers.begin("192.0.2.2"));
    auto v6 = offers.begin("2001:db8::1");
    EXPECT_FALSE(offers.begin("2001:db8::ffff:1"));
    EXPECT_TRUE(offers.begin("2001:db8:0:1::1"));
    v6.reset();
    EXPECT_TRUE(offers.begin("2001:db8::ffff:1"));
}

}  // namespace
}  // namespace kollator::http
