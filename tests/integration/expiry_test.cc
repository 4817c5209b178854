// The expiry policy on a real gateway: objects past their age go, younger ones stay, whatever the
// worker knew of them before.

#include <gtest/gtest.h>

#include "chunk/expiry_sweep.h"
#include "tests/support/chunk_worker.h"

namespace kollator::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{60};
/// The gateway tells whole seconds.
constexpr seconds kMaxAge{6};

class Expiry : public ::testing::Test {
 protected:
    void SetUp() override {
        auto server = RgwServer::start();
        ASSERT_TRUE(server.ok()) << server.error().detail;
        server_.emplace(std::move(*server));
        worker_.emplace(s3_options(*server_), 100'000'000);
    }

    ChunkId store(std::uint64_t seed) {
        const SharedBuffer bytes = content_of(seed, 10'000);
        const ChunkId id(crypto::sha256(bytes->span()));
        std::optional<bool> stored;
        worker_->service().store(id, bytes, [&](const auto& outcome) { stored = outcome.ok(); });
        EXPECT_TRUE(worker_->run_until([&] { return stored.has_value(); }, kPatience));
        EXPECT_TRUE(stored.value_or(false));
        return id;
    }
    bool in_store(const ChunkId& id) {
        std::optional<bool> found;
        const auto asked = worker_->store().stat(store::ObjectKey(id),
                                                 [&](const auto& size) { found = size.ok(); });
        EXPECT_TRUE(worker_->run_until([&] { return found.has_value(); }, kPatience));
        return found.value_or(true);
    }
    bool is_read(const ChunkId& id) {
        ChunkWorker::Read read(*worker_, id);
        EXPECT_TRUE(worker_->run_until([&] { return read.ended(); }, kPatience));
        return read.is_right();
    }

    std::optional<RgwServer> server_;
    std::optional<ChunkWorker> worker_;
};

TEST_F(Expiry, TakesWhatIsPastItsAgeFromStoreAndCacheAndLeavesTheRest) {
    std::vector<ChunkId> old;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) old.push_back(store(seed));
    bool aged = false;
    Timer age(worker_->loop());
    age.start_after(kMaxAge + seconds(1), [&] { aged = true; });
    ASSERT_TRUE(worker_->run_until([&] { return aged; }, kPatience));
    const ChunkId young = store(6);

    chunk::ExpiryOptions options;
    options.max_age = kMaxAge;
    options.first_after = milliseconds(1);
    options.interval = std::chrono::hours(24);
    const chunk::ExpirySweep sweep(
        worker_->loop(), system_clock(), worker_->store(),
        [&](const store::ObjectKey& key, chunk::Deletions::OnRemoved on_done) {
            worker_->service().remove(key, std::move(on_done));
        },
        options);
    ASSERT_TRUE(worker_->run_until([&] { return sweep.stats().passes == 1; }, kPatience));

    EXPECT_EQ(sweep.stats().seen, 6U);
    EXPECT_EQ(sweep.stats().expired, 5U);
    EXPECT_EQ(sweep.stats().failures, 0U);
    for (const ChunkId& id : old) {
        EXPECT_FALSE(in_store(id));
        EXPECT_FALSE(is_read(id)) << "it is gone from the cache too";
    }
    EXPECT_TRUE(in_store(young));
    EXPECT_TRUE(is_read(young));
}

}  // namespace
}  // namespace kollator::testing
