#include "chunk/store_purge.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/temp_folder.h"

namespace kollator::chunk {
namespace {

constexpr std::chrono::seconds kPatience{30};

class StorePurgeTest : public ::testing::Test {
 protected:
    StorePurgeTest() {
        options_.mark_path = folder_.path() / "mark";
        options_.retry_after = std::chrono::milliseconds(5);
        start();
    }
    void start() {
        purge_ = std::make_unique<StorePurge>(
            loop_, jobs_, posix_file_system(),
            [this](const store::ObjectKey& key, const Deletions::OnRemoved& on_done) {
                most_at_once_ = std::max(most_at_once_, ++at_once_);
                loop_.post([this, key, on_done] {
                    --at_once_;
                    if (refusal_) return on_done(*refusal_);
                    ++removed_[key];
                    on_done(std::int64_t{0});
                });
            },
            options_);
    }
    static Denylist::Hash hash_of(std::uint32_t number) {
        Denylist::Hash hash{};
        for (int i = 0; i < 4; ++i) hash[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
        return hash;
    }
    static DenylistPtr list_of(std::uint32_t first, std::uint32_t count) {
        std::vector<Denylist::Hash> hashes;
        for (std::uint32_t i = 0; i < count; ++i) hashes.push_back(hash_of(first + i));
        return std::make_shared<const Denylist>(std::move(hashes));
    }
    bool wait(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }
    bool wait_mark() {
        return wait([&] { return std::filesystem::exists(options_.mark_path); });
    }
    int removals(std::uint32_t number) {
        const ChunkId id(hash_of(number));
        return removed_[store::ObjectKey(id)];
    }

    testing_support::TempFolder folder_;
    EventLoop loop_;
    JobPool jobs_{2};
    StorePurgeOptions options_;
    std::map<store::ObjectKey, int> removed_;
    std::optional<Error> refusal_;
    std::size_t at_once_ = 0;
    std::size_t most_at_once_ = 0;
    std::unique_ptr<StorePurge> purge_;
};

TEST_F(StorePurgeTest, RemovesChunkAndTorrentOfEachHashAFewAtATime) {
    purge_->set_denylist(list_of(1, 5'000));
    ASSERT_TRUE(wait_mark());
    EXPECT_EQ(removed_.size(), 10'000U);
    EXPECT_LE(most_at_once_, options_.parallel);
    EXPECT_EQ(purge_->stats().purged, 5'000U);
    EXPECT_EQ(purge_->stats().hashes_left, 0U);
}

TEST_F(StorePurgeTest, ALongerListCostsOnlyWhatIsNew) {
    purge_->set_denylist(list_of(1, 100));
    ASSERT_TRUE(wait([&] { return purge_->stats().hashes_left == 0; }));
    purge_->set_denylist(list_of(1, 110));
    ASSERT_TRUE(wait([&] { return purge_->stats().purged == 110; }));
    EXPECT_EQ(removals(1), 1);
    EXPECT_EQ(removals(110), 1);
}

TEST_F(StorePurgeTest, AListThatCameInBetweenIsNotBegunAnew) {
    purge_->set_denylist(list_of(1'000, 1'000));
    ASSERT_TRUE(wait([&] { return purge_->stats().purged > 500; }));
    purge_->set_denylist(list_of(0, 3'000));
    ASSERT_TRUE(wait([&] { return purge_->stats().hashes_left == 0; }));
    EXPECT_EQ(removals(0), 1);
    EXPECT_EQ(removals(1'100), 1);
    EXPECT_EQ(removals(1'999), 1);
    EXPECT_EQ(removals(2'999), 1);
    EXPECT_EQ(removed_.size(), 2U * 3'000U + 0U);
}

TEST_F(StorePurgeTest, ARestartDoesNotPurgeTheSameListAgain) {
    purge_->set_denylist(list_of(1, 50));
    ASSERT_TRUE(wait_mark());
    removed_.clear();
    start();
    purge_->set_denylist(list_of(1, 50));
    ASSERT_TRUE(wait([&] { return purge_->stats().hashes_left == 0; }));
    EXPECT_TRUE(removed_.empty());
    purge_->set_denylist(list_of(1, 51));
    ASSERT_TRUE(wait([&] { return removals(51) == 1; }));
    EXPECT_EQ(removals(1), 0);
}

TEST_F(StorePurgeTest, TriesAgainWhatFailedAndNothingElseMeanwhile) {
    refusal_ = make_error(ErrorCode::kUnavailable, "down");
    purge_->set_denylist(list_of(1, 100));
    ASSERT_TRUE(wait([&] { return purge_->stats().failures > 3 * options_.parallel; }));
    EXPECT_GE(purge_->stats().hashes_left, 100U);
    refusal_.reset();
    ASSERT_TRUE(wait_mark());
    EXPECT_EQ(removed_.size(), 200U);
}

TEST_F(StorePurgeTest, WhatIsNoLongerDeniedIsNotTriedAgain) {
    refusal_ = make_error(ErrorCode::kUnavailable, "down");
    purge_->set_denylist(list_of(1, 8));
    ASSERT_TRUE(wait([&] { return purge_->stats().failures >= 8 && at_once_ == 0; }));
    purge_->set_denylist(list_of(100, 1));
    refusal_.reset();
    ASSERT_TRUE(wait([&] { return removals(100) == 1 && purge_->stats().hashes_left == 0; }));
    EXPECT_EQ(removals(1), 0);
}

}  // namespace
}  // namespace kollator::chunk
