#include "chunk/deletions.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/random.h"
#include "crypto/hash.h"
#include "tests/support/fake_object_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::chunk {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::int64_t kDay = 86'400;

class DeletionsTest : public ::testing::Test {
 protected:
    DeletionsTest() {
        options_.path = folder_.path() / "deletes";
        options_.interval = std::chrono::milliseconds(10);
        fs_.set_hook([this](testing_support::FileOperation operation,
                            const std::filesystem::path&) -> std::optional<Error> {
            if (!broken_ || operation != testing_support::FileOperation::kWrite) {
                return std::nullopt;
            }
            return make_error(ErrorCode::kLimit, "no space");
        });
    }
    void start() {
        deletions_.reset();
        hidden_ = std::make_unique<HiddenNames>();
        deletions_ =
            std::make_unique<Deletions>(loop_, jobs_, clock_, fs_, store_, *hidden_, options_);
        ASSERT_TRUE(deletions_->load());
    }
    /// Waits for a minimum of 90 days.
    void start_delayed() {
        options_.min_age = std::chrono::hours(24 * 90);
        start();
    }
    std::int64_t now_s() const {
        return std::chrono::duration_cast<std::chrono::seconds>(
                   clock_.wall_now().time_since_epoch())
            .count();
    }
    store::ObjectKey put(std::uint64_t seed, std::int64_t age_s = 0) {
        const store::ObjectKey key = key_of(seed);
        store_.objects[key] = Bytes(10, 1);
        store_.modified_s[key] = now_s() - age_s;
        return key;
    }
    static store::ObjectKey key_of(std::uint64_t seed) {
        Bytes raw(8);
        SeededRandom(seed).fill(raw);
        return store::ObjectKey(ChunkId(crypto::sha256(raw)));
    }
    bool wait(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }
    Result<std::int64_t> remove(const store::ObjectKey& key) {
        std::optional<Result<std::int64_t>> outcome;
        deletions_->remove(key, [&](auto got) { outcome = std::move(got); });
        EXPECT_FALSE(outcome) << "answered before remove() returned";
        EXPECT_TRUE(hidden_->contains(key) || store_.objects.empty());
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return *outcome;
    }
    Status before_store(const store::ObjectKey& key) {
        std::optional<Status> outcome;
        deletions_->before_store(key, [&](auto got) { outcome = std::move(got); });
        EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
        return *outcome;
    }
    void break_writes(bool broken) { broken_ = broken; }

    testing_support::TempFolder folder_;
    testing_support::FaultyFileSystem fs_;
    std::atomic<bool> broken_{false};
    ManualClock clock_;
    EventLoop loop_;
    JobPool jobs_{2};
    testing_support::FakeObjectStore store_{loop_};
    DeletionOptions options_;
    std::unique_ptr<HiddenNames> hidden_;
    std::unique_ptr<Deletions> deletions_;
};

TEST_F(DeletionsTest, DeletesAtOnceWhereNothingSpeaksForWaiting) {
    start();
    const auto key = put(1);
    EXPECT_EQ(*remove(key), 0);
    EXPECT_FALSE(store_.objects.contains(key));
    EXPECT_FALSE(hidden_->contains(key));
    EXPECT_EQ(*remove(key), 0);  // there is nothing: so it is gone
    EXPECT_EQ(store_.lists_begun, 0U);
    EXPECT_EQ(deletions_->stats().removed, 2U);
    EXPECT_FALSE(std::filesystem::exists(options_.path));
}

TEST_F(DeletionsTest, AStoreThatIsOutOfOrderIsToldAndNothingIsHidden) {
    start();
    const auto key = put(1);
    store_.remove_error = make_error(ErrorCode::kUnavailable, "down");
    EXPECT_EQ(remove(key).error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(hidden_->contains(key));
    start_delayed();
    store_.list_error = make_error(ErrorCode::kTimeout, "slow");
    EXPECT_EQ(remove(key).error().code, ErrorCode::kTimeout);
    EXPECT_FALSE(hidden_->contains(key));
    EXPECT_EQ(deletions_->stats().failures, 1U);
}

TEST_F(DeletionsTest, WaitsUntilTheObjectIsOldEnough) {
    start_delayed();
    const auto young = put(1, 80 * kDay);
    const auto old = put(2, 91 * kDay);
    EXPECT_EQ(*remove(old), 0);
    const auto due_s = remove(young);
    ASSERT_TRUE(due_s);
    EXPECT_EQ(*due_s, now_s() + 10 * kDay);
    EXPECT_EQ(*remove(young), *due_s);  // asked again
    EXPECT_TRUE(hidden_->contains(young));
    EXPECT_TRUE(store_.objects.contains(young));
    EXPECT_EQ(deletions_->stats().waiting, 1U);
    EXPECT_EQ(deletions_->stats().next_due_s, *due_s);

    clock_.advance(std::chrono::hours(24 * 10));
    ASSERT_TRUE(wait([&] { return !hidden_->contains(young); }));
    EXPECT_FALSE(store_.objects.contains(young));
    EXPECT_EQ(deletions_->stats().waiting, 0U);
}

TEST_F(DeletionsTest, WhatTheStoreDoesNotKnowTheAgeOfWaitsFromNow) {
    start_delayed();
    const auto key = put(1);
    store_.modified_s.erase(key);
    EXPECT_EQ(*remove(key), now_s() + 90 * kDay);
}

TEST_F(DeletionsTest, WhatWaitsIsHiddenAfterARestartAndGoesOnItsDay) {
    start_delayed();
    const auto key = put(1);
    store::ObjectKey torrent = put(2);
    torrent.kind = store::ObjectKind::kTorrent;
    store_.objects[torrent] = Bytes(5, 1);
    store_.modified_s[torrent] = now_s();
    ASSERT_TRUE(remove(key));
    ASSERT_TRUE(remove(torrent));
    options_.min_age = std::chrono::seconds(0);  // the setting may have changed meanwhile
    start();
    EXPECT_TRUE(hidden_->contains(key));
    EXPECT_TRUE(hidden_->contains(torrent));
    EXPECT_EQ(deletions_->stats().waiting, 2U);
    clock_.advance(std::chrono::hours(24 * 90));
    ASSERT_TRUE(wait([&] { return deletions_->stats().removed == 2; }));
    ASSERT_TRUE(wait([&] { return !hidden_->contains(torrent) && !hidden_->contains(key); }));
    start();
    EXPECT_EQ(deletions_->stats().waiting, 0U);
}

TEST_F(DeletionsTest, AStoreWithdrawsWhatWaitsForGood) {
    start_delayed();
    const auto key = put(1);
    ASSERT_TRUE(remove(key));
    ASSERT_TRUE(before_store(key));
    EXPECT_FALSE(hidden_->contains(key));
    EXPECT_EQ(deletions_->stats().withdrawn, 1U);
    start();
    EXPECT_FALSE(hidden_->contains(key));
    EXPECT_TRUE(store_.objects.contains(key));
}

TEST_F(DeletionsTest, AStoreIsNotLetInWhileItsDeletionCannotBeStruckOut) {
    start_delayed();
    const auto key = put(1);
    ASSERT_TRUE(remove(key));
    break_writes(true);
    EXPECT_EQ(before_store(key).error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(hidden_->contains(key));
    break_writes(false);
    EXPECT_TRUE(before_store(key));
}

TEST_F(DeletionsTest, AStoreWaitsForADeletionUnderWay) {
    start();
    const auto key = put(1);
    store_.hold_removes = true;
    bool removed = false;
    bool stored = false;
    deletions_->remove(key, [&](const auto& outcome) { removed = outcome.ok(); });
    deletions_->before_store(key, [&](const auto& outcome) { stored = outcome.ok(); });
    ASSERT_TRUE(wait([&] { return store_.removes().size() == 1; }));
    EXPECT_FALSE(stored);
    store_.finish_remove(store_.removes()[0]);
    ASSERT_TRUE(wait([&] { return removed && stored; }));
}

TEST_F(DeletionsTest, PromisesNothingThatItCannotWriteDown) {
    start_delayed();
    const auto key = put(1);
    break_writes(true);
    EXPECT_EQ(remove(key).error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(hidden_->contains(key));
    EXPECT_EQ(deletions_->stats().waiting, 0U);
}

/// Else a restart would delete what was stored and acknowledged in between.
TEST_F(DeletionsTest, ANameIsFreeOnlyWhenItsDeletionIsStruckOut) {
    start_delayed();
    const auto key = put(1);
    ASSERT_TRUE(remove(key));
    break_writes(true);
    clock_.advance(std::chrono::hours(24 * 90));
    ASSERT_TRUE(wait([&] { return deletions_->stats().failures >= 1; }));
    EXPECT_TRUE(hidden_->contains(key));
    EXPECT_FALSE(store_.objects.contains(key));
    break_writes(false);
    clock_.advance(std::chrono::seconds(1));
    ASSERT_TRUE(wait([&] { return !hidden_->contains(key); }));
}

TEST_F(DeletionsTest, TriesAgainWhatTheStoreRefusedOnTheDay) {
    start_delayed();
    const auto key = put(1);
    ASSERT_TRUE(remove(key));
    store_.remove_error = make_error(ErrorCode::kUnavailable, "down");
    clock_.advance(std::chrono::hours(24 * 90));
    ASSERT_TRUE(wait([&] { return deletions_->stats().failures == 1; }));
    EXPECT_TRUE(hidden_->contains(key));
    store_.remove_error.reset();
    clock_.advance(std::chrono::seconds(1));
    ASSERT_TRUE(wait([&] { return !store_.objects.contains(key); }));
}

TEST_F(DeletionsTest, DeletesAFewAtATimeOnTheDay) {
    options_.parallel = 3;
    start_delayed();
    std::size_t promised = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        deletions_->remove(put(seed), [&](const auto& outcome) { promised += outcome ? 1 : 0; });
    }
    ASSERT_TRUE(wait([&] { return promised == 40; }));
    store_.hold_removes = true;
    clock_.advance(std::chrono::hours(24 * 90));
    for (std::size_t done = 0; done < 40; ++done) {
        ASSERT_TRUE(wait([&] { return store_.removes().size() > done; }));
        EXPECT_LE(store_.removes().size() - done, 3U);
        store_.finish_remove(store_.removes()[done]);
    }
    ASSERT_TRUE(wait([&] { return deletions_->stats().removed == 40; }));
}

TEST_F(DeletionsTest, IsBounded) {
    options_.max_waiting = 1;
    options_.max_under_way = 2;
    start_delayed();
    ASSERT_TRUE(remove(put(1)));
    EXPECT_EQ(remove(put(2)).error().code, ErrorCode::kLimit);
    std::vector<ErrorCode> codes;
    for (std::uint64_t seed = 10; seed < 13; ++seed) {
        deletions_->remove(put(seed, 100 * kDay), [&](const auto& outcome) {
            codes.push_back(outcome ? ErrorCode::kInternal : outcome.error().code);
        });
    }
    ASSERT_TRUE(wait([&] { return codes.size() == 3; }));
    EXPECT_EQ(codes[0], ErrorCode::kLimit);  // told first
}

TEST(DeletionsText, RoundTripsAndLeavesWrongLinesOut) {
    store::ObjectKey chunk(ChunkId(crypto::sha256(Bytes{1})));
    store::ObjectKey torrent = chunk;
    torrent.kind = store::ObjectKind::kTorrent;
    const std::string text = deletions_text({{chunk, 5}, {torrent, 1'802'908'800}});
    const auto parsed = parse_deletions(as_bytes(text));
    EXPECT_EQ(parsed.wrong_lines, 0U);
    ASSERT_EQ(parsed.waiting.size(), 2U);
    EXPECT_EQ(parsed.waiting[0].key, chunk);
    EXPECT_EQ(parsed.waiting[1].key, torrent);
    EXPECT_EQ(parsed.waiting[1].due_s, 1'802'908'800);
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
        EXPECT_LE(parse_deletions(as_bytes(text.substr(0, cut))).wrong_lines, 1U);
    }
    const auto wrong = parse_deletions(
        as_bytes("chunks/00 5\nx\n" + chunk.path() + " -5\n" + chunk.path() + " 5x\n" + text));
    EXPECT_EQ(wrong.wrong_lines, 4U);
    EXPECT_EQ(wrong.waiting.size(), 2U);
}

}  // namespace
}  // namespace kollator::chunk
