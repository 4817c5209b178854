// An upload through a worker while the object store's gateway is killed, stopped and throttled:
// what was acknowledged is there, byte for byte.
//
//   KOLLATOR_UPLOAD_MB   how much is uploaded (1000 is the full test)

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/support/chunk_worker.h"
#include "tests/support/rgw.h"

namespace kollator::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kDeadline = std::chrono::minutes(9);
constexpr std::size_t kChunkBytes = 5 << 20;
constexpr std::size_t kAtOnce = 16;
constexpr auto kClientPause = milliseconds(100);

std::size_t chunk_count() {
    const char* const given = std::getenv("KOLLATOR_UPLOAD_MB");
    const std::size_t megabytes = given != nullptr ? std::strtoul(given, nullptr, 10) : 80;
    return std::max<std::size_t>(kAtOnce, megabytes * 1'000'000 / kChunkBytes);
}

/// A client that stores chunk after chunk, and each again until it is acknowledged.
class Upload {
 public:
    Upload(ChunkWorker& worker, std::size_t count) : worker_(worker), ids_(count) {
        for (std::size_t i = 0; i < kAtOnce; ++i) pauses_.emplace_back(worker.loop());
    }

    bool run() {
        for (std::size_t lane = 0; lane < kAtOnce; ++lane) next(lane);
        return worker_.run_until([this] { return acknowledged == ids_.size(); }, kDeadline);
    }
    const std::vector<ChunkId>& ids() const { return ids_; }

    std::atomic<std::size_t> acknowledged{0};
    std::size_t refused = 0;  ///< stores that were answered with an error

 private:
    void next(std::size_t lane) {
        if (begun_ == ids_.size()) return;
        const std::size_t index = begun_++;
        const SharedBuffer bytes = content_of(index + 1, kChunkBytes);
        ids_[index] = ChunkId(crypto::sha256(bytes->span()));
        store(lane, index, bytes);
    }
    void store(std::size_t lane, std::size_t index, const SharedBuffer& bytes) {
        worker_.service().store(
            ids_[index], bytes, [this, lane, index, bytes](const auto& outcome) {
                if (outcome) {
                    ++acknowledged;
                    return next(lane);
                }
                ++refused;
                pauses_[lane].start_after(
                    kClientPause, [this, lane, index, bytes] { store(lane, index, bytes); });
            });
    }

    ChunkWorker& worker_;
    std::vector<ChunkId> ids_;
    std::vector<Timer> pauses_;
    std::size_t begun_ = 0;
};

/// Straight at the gateway, one after the other.
std::size_t count_lost(const RgwServer& server, const std::vector<ChunkId>& ids) {
    ChunkWorker direct(s3_options(server), 100'000'000);
    std::size_t lost = 0;
    for (const ChunkId& id : ids) {
        bool ended = false;
        const auto handle = direct.store().get(
            store::ObjectKey(id), {}, nullptr, [&](const Result<SharedBuffer>& got) {
                lost += !got || ChunkId(crypto::sha256((*got)->span())) != id ? 1 : 0;
                ended = true;
            });
        EXPECT_TRUE(direct.run_until([&] { return ended; }, kDeadline));
    }
    return lost;
}

store::S3Options impatient(const RgwServer& server) {
    store::S3Options options = s3_options(server);
    options.stall_timeout = seconds(1);
    options.breaker_max_wait = seconds(2);
    return options;
}

void print(const char* what, const Upload& upload, const store::StoreStats& stats) {
    fmt::print(
        "{}: {} chunks of 5 MiB, {} refusals to the client, {} requests, {} retries, {} "
        "failed at once\n",
        what, upload.ids().size(), upload.refused, stats.requests, stats.retries, stats.refused);
}

TEST(GatewayFaults, NothingAcknowledgedIsLostWhenTheGatewayIsKilledAndStopped) {
    auto server = RgwServer::start();
    ASSERT_TRUE(server.ok()) << server.error().detail;
    ChunkWorker worker(impatient(*server), 100'000'000);
    Upload upload(worker, chunk_count());
    std::atomic<bool> ended{false};
    std::thread saboteur([&] {
        const auto reached = [&](std::size_t percent) {
            while (!ended && upload.acknowledged * 100 < upload.ids().size() * percent) {
                std::this_thread::sleep_for(milliseconds(1));
            }
            return !ended;
        };
        for (const std::size_t percent : {10, 35, 60, 85}) {
            if (!reached(percent)) return;
            EXPECT_TRUE(server->kill().ok());
            std::this_thread::sleep_for(milliseconds(300));
            EXPECT_TRUE(server->restart().ok());
            if (!reached(percent + 10)) return;
            EXPECT_TRUE(server->pause().ok());
            std::this_thread::sleep_for(seconds(3));
            EXPECT_TRUE(server->resume().ok());
        }
    });
    EXPECT_TRUE(upload.run());
    ended = true;
    saboteur.join();
    print("killed and stopped", upload, worker.store().stats());
    EXPECT_GT(upload.refused, 0U);
    EXPECT_EQ(count_lost(*server, upload.ids()), 0U);
}

TEST(GatewayFaults, NothingAcknowledgedIsLostWhenTheGatewayIsThrottled) {
    auto server =
        RgwServer::start({.max_concurrent_requests = 2, .tls_certificate = {}, .tls_key = {}});
    ASSERT_TRUE(server.ok()) << server.error().detail;
    ChunkWorker worker(impatient(*server), 100'000'000);
    Upload upload(worker, chunk_count());
    EXPECT_TRUE(upload.run());
    const store::StoreStats stats = worker.store().stats();
    print("throttled", upload, stats);
    EXPECT_GT(stats.errors, 0U);
    EXPECT_EQ(count_lost(*server, upload.ids()), 0U);
}

}  // namespace
}  // namespace kollator::testing
