#include "chunk/expiry_sweep.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "crypto/hash.h"
#include "tests/support/fake_object_store.h"

namespace kollator::chunk {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::int64_t kDay = 86'400;

class ExpirySweepTest : public ::testing::Test {
 protected:
    ExpirySweepTest() {
        options_.max_age = std::chrono::hours(24 * 30);
        options_.first_after = options_.pause = std::chrono::milliseconds(1);
        options_.interval = options_.retry_after = std::chrono::milliseconds(5);
    }
    void start() {
        sweep_ = std::make_unique<ExpirySweep>(
            loop_, clock_, store_,
            [this](const store::ObjectKey& key, const Deletions::OnRemoved& on_done) {
                EXPECT_EQ(++removing_, 1) << "one after the other";
                removed_.push_back(key);
                loop_.post([this, key, on_done] {
                    --removing_;
                    if (refusal_) return on_done(*refusal_);
                    store_.objects.erase(key);
                    on_done(std::int64_t{0});
                });
            },
            options_);
    }
    store::ObjectKey put(std::uint64_t seed, std::int64_t age_days,
                         store::ObjectKind kind = store::ObjectKind::kChunk) {
        Bytes raw(8);
        SeededRandom(seed).fill(raw);
        store::ObjectKey key(ChunkId(crypto::sha256(raw)));
        key.kind = kind;
        store_.objects[key] = raw;
        store_.modified_s[key] =
            std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
                .count() -
            age_days * kDay;
        return key;
    }
    bool wait_passes(std::uint64_t count) {
        return loop_.run_until([&] { return sweep_->stats().passes >= count; }, kPatience);
    }

    ManualClock clock_;
    EventLoop loop_;
    testing_support::FakeObjectStore store_{loop_};
    ExpiryOptions options_;
    std::vector<store::ObjectKey> removed_;
    std::optional<Error> refusal_;
    int removing_ = 0;
    std::unique_ptr<ExpirySweep> sweep_;
};

TEST_F(ExpirySweepTest, RemovesWhatIsTooOldAndNothingElse) {
    const auto old_chunk = put(1, 31);
    const auto young_chunk = put(2, 29);
    const auto old_torrent = put(3, 400, store::ObjectKind::kTorrent);
    const auto unknown = put(4, 400);
    store_.modified_s.erase(unknown);
    start();
    ASSERT_TRUE(wait_passes(1));
    EXPECT_EQ(removed_, (std::vector<store::ObjectKey>{old_chunk, old_torrent}));
    EXPECT_TRUE(store_.objects.contains(young_chunk));
    EXPECT_TRUE(store_.objects.contains(unknown));
    EXPECT_EQ(sweep_->stats().seen, 4U);
    EXPECT_EQ(sweep_->stats().expired, 2U);
    EXPECT_GT(sweep_->stats().finished_s, 0);
    clock_.advance(std::chrono::hours(48));
    ASSERT_TRUE(loop_.run_until([&] { return removed_.size() == 3; }, kPatience));
    EXPECT_EQ(removed_.back(), young_chunk);
}

TEST_F(ExpirySweepTest, LooksAtEveryPage) {
    for (std::uint64_t seed = 0; seed < 2'500; ++seed) put(seed, seed % 2 == 0 ? 60 : 1);
    start();
    ASSERT_TRUE(wait_passes(1));
    EXPECT_EQ(sweep_->stats().seen, 2'500U);
    EXPECT_EQ(removed_.size(), 1'250U);
    EXPECT_EQ(store_.objects.size(), 1'250U);
}

TEST_F(ExpirySweepTest, APassEndsWithTheFirstFailureAndBeginsAgain) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) put(seed, 60);
    refusal_ = make_error(ErrorCode::kUnavailable, "down");
    start();
    ASSERT_TRUE(loop_.run_until([&] { return sweep_->stats().failures >= 2; }, kPatience));
    // One a pass; the next pass may have begun.
    EXPECT_GE(removed_.size(), sweep_->stats().failures);
    EXPECT_LE(removed_.size(), sweep_->stats().failures + 1);
    store_.list_error = *refusal_;
    const auto failures = sweep_->stats().failures;
    ASSERT_TRUE(loop_.run_until([&] { return sweep_->stats().failures > failures; }, kPatience));
    EXPECT_EQ(sweep_->stats().passes, 0U);
    store_.list_error.reset();
    refusal_.reset();
    ASSERT_TRUE(wait_passes(1));
    EXPECT_TRUE(store_.objects.empty());
}

}  // namespace
}  // namespace kollator::chunk
