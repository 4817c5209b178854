// The service over a journal: WRITE_POLICY=back.

#include <gtest/gtest.h>

#include "store/journal/journaled_store.h"
#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

class WriteBackTest : public ServiceTest {
 protected:
    WriteBackTest() { reopen(); }
    ~WriteBackTest() override { service_.reset(); }

    void reopen() {
        service_.reset();
        cache_.reset();
        journal_.reset();
        store::JournalOptions journal;
        journal.root = folder_.path() / "journal";
        journal.backlog.max_bytes = backlog_bytes_;
        journal.backlog.min_pause = std::chrono::milliseconds(2);
        journal.backlog.max_pause = std::chrono::milliseconds(10);
        auto opened = store::JournaledStore::open(loop_, jobs_, fs_, clock_, random_, store_,
                                                  journal, metrics_);
        ASSERT_TRUE(opened.ok());
        journal_ = std::move(*opened);
        cache::CacheOptions options;
        options.path = folder_.path() / "cache";
        options.max_bytes = cache_bytes_;
        cache_ = cache::open_disk_cache(loop_, jobs_, fs_, clock_, options);
        service_ = make_chunk_service(loop_, jobs_, clock_, *cache_, *metadata_cache_, *journal_,
                                      options_, metrics_);
    }
    std::vector<ChunkStat> stat(std::vector<ChunkId> ids) {
        std::optional<std::vector<ChunkStat>> answers;
        service_->stat(std::move(ids), [&](auto got) { answers = std::move(got); });
        EXPECT_TRUE(wait([&] { return answers.has_value(); }));
        return *answers;
    }
    bool wait_sent() {
        return wait([&] { return journal_->journal_stats().objects == 0; });
    }

    SeededRandom random_{5};
    std::uint64_t backlog_bytes_ = 1'000'000;
    std::unique_ptr<store::JournaledStore> journal_;
};

TEST_F(WriteBackTest, NamesTheDurabilityThatHolds) {
    store_.hold_puts = true;
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    auto outcome = store(id, bytes);
    ASSERT_TRUE(outcome.ok());
    EXPECT_FALSE(outcome->already_there);
    EXPECT_EQ(outcome->durability, Durability::kJournaled);
    outcome = store(id, bytes);
    ASSERT_TRUE(outcome.ok());
    EXPECT_TRUE(outcome->already_there);
    EXPECT_EQ(outcome->durability, Durability::kJournaled);
    ASSERT_TRUE(wait([&] { return store_.puts_begun == 1; }));
    store_.finish_put(store_.puts()[0]);
    store_.hold_puts = false;
    ASSERT_TRUE(wait_sent());
    outcome = store(id, bytes);  // the object store says that it has it
    ASSERT_TRUE(outcome.ok());
    ASSERT_TRUE(wait_sent());
    EXPECT_EQ(stat({id})[0].residency, Residency::kCachedHere);
}

TEST_F(WriteBackTest, RefusesWrongBytesBeforeTheJournal) {
    const Bytes bytes = random_bytes(1000, 1);
    EXPECT_EQ(store(name_of(random_bytes(1000, 2)), bytes).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(journal_->journal_stats().journaled, 0U);
}

TEST_F(WriteBackTest, ServesListsAndStatsWhatIsPendingThoughTheCacheDroppedIt) {
    cache_bytes_ = 150'000;  // one of them
    reopen();
    store_.put_error = make_error(ErrorCode::kUnavailable, "away");
    store_.get_error = store_.put_error;
    store_.stat_error = store_.put_error;
    std::vector<ChunkId> ids;
    for (std::uint64_t i = 0; i < 5; ++i) {
        const Bytes bytes = random_bytes(100'000, i);
        ids.push_back(name_of(bytes));
        ASSERT_TRUE(store(ids.back(), bytes).ok());
        ASSERT_TRUE(wait_cached(ids.back()));
    }
    EXPECT_EQ(cache_->stats().chunks, 1U);
    for (std::uint64_t i = 0; i < 5; ++i) {
        auto taker = take(ids[i], random_bytes(100'000, i));
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_TRUE(taker->finished) << i;
    }
    for (const ChunkStat& one : stat(ids)) {
        EXPECT_EQ(one.residency, Residency::kCachedHere);
        EXPECT_EQ(one.size_bytes, 100'000U);
    }
    std::sort(ids.begin(), ids.end());
    const auto page = service_->list_cached(ids[0], 3);
    ASSERT_EQ(page.entries.size(), 3U);
    EXPECT_TRUE(page.more);
    EXPECT_EQ(page.entries[0].id, ids[1]);
    EXPECT_FALSE(service_->list_cached(ids[1], 3).more);
    EXPECT_EQ(service_->list_cached(ids[1], 3).entries.size(), 3U);
    EXPECT_EQ(store(ids[0], random_bytes(1, 1)).error().code, ErrorCode::kCorrupt);
}

TEST_F(WriteBackTest, AFullBacklogIsToldAsALimit) {
    backlog_bytes_ = 8192;
    reopen();
    store_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Bytes large = random_bytes(10'000, 1);
    EXPECT_EQ(store(name_of(large), large).error().code, ErrorCode::kLimit);  // BUSY on the wire
    const Bytes small = random_bytes(1000, 1);
    EXPECT_TRUE(store(name_of(small), small).ok());
}

TEST_F(WriteBackTest, GoesOnAfterARestart) {
    store_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Bytes bytes = random_bytes(50'000, 1);
    const ChunkId id = name_of(bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    reopen();
    auto taker = take(id, bytes);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    EXPECT_EQ(store(id, bytes)->durability, Durability::kJournaled);
    store_.put_error.reset();
    clock_.advance(std::chrono::seconds(2));
    ASSERT_TRUE(wait_sent());
    EXPECT_EQ(store_.objects.at(key_of(id)), bytes);
}

TEST_F(WriteBackTest, WhatTheDiskLostIsNeverCalledStored) {
    store_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Bytes bytes = random_bytes(50'000, 1);
    const ChunkId id = name_of(bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    auto taker = take(id, bytes);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    // It has been tried once, and waits.
    ASSERT_TRUE(wait([&] { return journal_->journal_stats().failures == 1; }));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "journal")) {
        if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), 100);
    }
    store_.put_error.reset();
    clock_.advance(std::chrono::seconds(2));
    ASSERT_TRUE(wait([&] { return journal_->journal_stats().damaged == 1; }));
    const auto outcome = store(id, bytes);
    ASSERT_TRUE(outcome.ok());
    EXPECT_FALSE(outcome->already_there);
    ASSERT_TRUE(wait_sent());
    EXPECT_EQ(store_.objects.at(key_of(id)), bytes);
}

}  // namespace
}  // namespace kollator::chunk
