// The asking side (src/peer) against a whole worker and a whole front, all on one loop.

#include <gtest/gtest.h>

#include "app/data_dir.h"
#include "app/worker.h"
#include "config/settings.h"
#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "front/front.h"
#include "loop/system_clock.h"
#include "peer/bootstrap.h"
#include "peer/dialer.h"
#include "rtc/certificate.h"
#include "tests/support/chunk_worker.h"
#include "tests/support/temp_folder.h"

namespace kollator::peer {
namespace {

using std::chrono::seconds;

constexpr crypto::SharedKey kKey{1, 2, 3};

class PeerTest : public ::testing::Test {
 protected:
    PeerTest() : certificate_(*rtc::Certificate::generate(1'763'800'000)) {
        loaded_ = config::load({}, {{"HOST", "127.0.0.1"}, {"PORT", "0"}}, {});
        data_.emplace(*app::DataDir::open(posix_file_system(), folder_.path()));
        front::FrontOptions front;
        front.bind_address = "127.0.0.1";
        front.shared_key.assign(kKey.begin(), kKey.end());
        front_ = *front::make_front(loop_, system_clock(), crypto::system_random(), front);
        front_url_ = "http://127.0.0.1:" + std::to_string(front_->port());
        start_worker();
        rtc::EndpointOptions options;
        options.bind_address = "127.0.0.1";
        endpoint_ = *rtc::open_endpoint(loop_, system_clock(), crypto::system_random(),
                                        certificate_, options);
        DialerOptions dialer;
        dialer.hello.agent = "peer_test";
        dialer.hello.accept = {"deflate-raw"};
        dialer.way_timeout = seconds(20);
        dialer_ = std::make_unique<Dialer>(loop_, system_clock(), crypto::system_random(),
                                           *endpoint_, dialer);
    }
    void start_worker() {
        app::WorkerOptions options;
        options.version = "test";
        options.id = "worker-1";
        options.shared_key = kKey;
        options.front_urls = {"ws://127.0.0.1:" + std::to_string(front_->port())};
        worker_ = *app::Worker::start(loop_, loaded_.config, *data_, options);
        url_ = "http://127.0.0.1:" + std::to_string(worker_->port());
    }
    bool until(const std::function<bool()>& done) { return loop_.run_until(done, seconds(60)); }

    Result<std::unique_ptr<Connection>> dial(const Route& route) {
        std::optional<Result<std::unique_ptr<Connection>>> result;
        dialer_->dial(route, [&](auto connection) { result = std::move(connection); });
        EXPECT_FALSE(result) << "before the call returned";
        EXPECT_TRUE(until([&] { return result.has_value(); }));
        return std::move(*result);
    }
    /// Runs one request to its end.
    template <typename T, typename Ask>
    Result<T> finish(Ask ask) {
        std::optional<Result<T>> result;
        ask([&](Result<T> got) { result = std::move(got); });
        EXPECT_TRUE(until([&] { return result.has_value(); }));
        return std::move(*result);
    }
    void stores_and_fetches(Connection& connection) {
        const SharedBuffer chunk = testing::content_of(7, 5 * 1024 * 1024);
        const ChunkId id(crypto::sha256(chunk->span()));
        Requests& requests = connection.requests();
        const auto stored =
            finish<protocol::StoreAnswer>([&](auto done) { requests.store(id, chunk, {}, done); });
        ASSERT_TRUE(stored.ok()) << stored.error().detail;
        const auto stat = finish<std::vector<protocol::StatEntry>>([&](auto done) {
            requests.stat({id, ChunkId()}, done);
        });
        ASSERT_TRUE(stat.ok()) << stat.error().detail;
        EXPECT_EQ((*stat)[0].size_bytes, chunk->size());
        EXPECT_EQ((*stat)[1].residency, protocol::StatResidency::kNotStored);
        // Several at once, on one connection.
        int right = 0;
        for (int i = 0; i < 4; ++i) {
            requests.fetch(id, connection.max_chunk_bytes(), {}, [&](Result<SharedBuffer> got) {
                ASSERT_TRUE(got.ok()) << got.error().detail;
                right += std::ranges::equal((*got)->span(), chunk->span()) ? 1 : 0;
            });
        }
        EXPECT_TRUE(until([&] { return right == 4; }));
        const auto missing =
            finish<SharedBuffer>([&](auto done) { requests.fetch(ChunkId(), 100, {}, done); });
        EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
        const auto health =
            finish<std::string>([&](auto done) { requests.health(std::move(done)); });
        EXPECT_NE(health->find("\"status\""), std::string::npos);
    }

    testing_support::TempFolder folder_;
    EventLoop loop_;
    rtc::Certificate certificate_;
    config::Loaded loaded_;
    std::optional<app::DataDir> data_;
    std::unique_ptr<front::Front> front_;
    std::unique_ptr<app::Worker> worker_;
    std::string front_url_;
    std::string url_;
    std::unique_ptr<rtc::Endpoint> endpoint_;
    std::unique_ptr<Dialer> dialer_;
};

TEST_F(PeerTest, TalksToAWorkerByItsUrl) {
    auto connection = dial({.worker_url = url_});
    ASSERT_TRUE(connection.ok()) << connection.error().detail;
    EXPECT_EQ((*connection)->hello().id, "worker-1");
    EXPECT_TRUE((*connection)->info()->remote_fingerprint.has_value());
    stores_and_fetches(**connection);
}

TEST_F(PeerTest, TalksToAWorkerByItsDirectAddress) {
    ASSERT_FALSE(worker_->direct_addresses().empty());
    auto connection = dial({.direct_address = worker_->direct_addresses().front()});
    ASSERT_TRUE(connection.ok()) << connection.error().detail;
    stores_and_fetches(**connection);
}

TEST_F(PeerTest, TalksToAWorkerThroughAFront) {
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const auto found = finish<Bootstrap>(
        [&](auto done) { bootstrap(dialer_->http(), front_url_, std::move(done)); });
    ASSERT_TRUE(found.ok()) << found.error().detail;
    ASSERT_EQ(found->workers.size(), 1U);
    EXPECT_EQ(found->workers[0].id, "worker-1");
    auto connection =
        dial({.worker_id = found->workers[0].id, .signaling_url = found->signaling_url});
    ASSERT_TRUE(connection.ok()) << connection.error().detail;
    stores_and_fetches(**connection);
}

TEST_F(PeerTest, FallsBackToTheNextWay) {
    ASSERT_TRUE(until([&] { return front_->living_workers() == 1; }));
    const std::string signaling = front_url_ + "/signaling";
    auto connection = dial({.worker_id = "worker-1",
                            .direct_address = "/ip4/127.0.0.1/udp/9/webrtc-direct/certhash/none",
                            .worker_url = "http://127.0.0.1:9",
                            .signaling_url = signaling});
    ASSERT_TRUE(connection.ok()) << connection.error().detail;
    EXPECT_EQ((*connection)->hello().id, "worker-1");
}

TEST_F(PeerTest, SaysWhyThereIsNoWay) {
    EXPECT_EQ(dial({}).error().code, ErrorCode::kInvalid);
    const auto nobody = dial({.worker_url = "http://127.0.0.1:9"});
    EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(nobody.error().detail.starts_with("by POST /rtc: ")) << nobody.error().detail;
    const auto no_worker = dial({.worker_url = front_url_});
    EXPECT_EQ(no_worker.error().code, ErrorCode::kUnavailable);
    const auto unknown = dial({.worker_id = "nobody", .signaling_url = front_url_ + "/signaling"});
    EXPECT_EQ(unknown.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(unknown.error().detail.find("no-such-peer"), std::string::npos);
}

TEST_F(PeerTest, RequestsEndWhenTheWorkerGoes) {
    auto connection = dial({.worker_url = url_});
    ASSERT_TRUE(connection.ok());
    std::string lost;
    (*connection)->set_on_lost([&](const std::string& reason) { lost = reason; });
    bool drained = false;
    worker_->drain([&] { drained = true; });
    ASSERT_TRUE(until([&] { return drained && !lost.empty(); }));
    EXPECT_FALSE((*connection)->open());
    const auto late =
        finish<std::string>([&](auto done) { (*connection)->requests().health(done); });
    EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
}

TEST_F(PeerTest, AConnectionMayBeDroppedFromACallback) {
    auto connection = dial({.worker_url = url_});
    ASSERT_TRUE(connection.ok());
    int calls = 0;
    const auto drop = [&](const auto&) {
        ++calls;
        connection->reset();
    };
    (*connection)->requests().fetch(ChunkId(), 10, {}, drop);
    (*connection)->requests().health(drop);
    EXPECT_TRUE(until([&] { return calls > 0 && endpoint_->peers().empty(); }));
    EXPECT_EQ(calls, 1);
    // And an attempt that nobody waits for any more.
    dialer_->dial({.worker_url = url_}, [](auto) { FAIL(); });
    dialer_.reset();
    EXPECT_TRUE(until([&] { return endpoint_->peers().empty(); }));
}

}  // namespace
}  // namespace kollator::peer
