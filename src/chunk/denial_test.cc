// What the service does with names on the denylist: refused on every way, gone from the cache.
#include <gtest/gtest.h>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

class DenialTest : public ServiceTest {
 protected:
    void deny(const std::vector<ChunkId>& ids) {
        std::vector<Denylist::Hash> hashes;
        for (const ChunkId& id : ids) hashes.push_back(id.bytes());
        service_->set_denylist(std::make_shared<const Denylist>(std::move(hashes)));
    }
    ChunkId put_in_cache(const Bytes& bytes) {
        const ChunkId id = put_in_store(bytes);
        auto taker = take(id, bytes);
        EXPECT_TRUE(wait([&] { return taker->finished; }));
        EXPECT_TRUE(wait_cached(id));
        return id;
    }
    ChunkPage list_stored(const ChunkId& after, std::size_t limit) {
        std::optional<Result<ChunkPage>> page;
        service_->list_stored(after, limit, [&](auto got) { page = std::move(got); });
        EXPECT_TRUE(wait([&] { return page.has_value(); }));
        return **page;
    }
};

TEST_F(DenialTest, RefusesToReadStoreAndTell) {
    const Bytes bytes = random_bytes(100'000, 1);
    const ChunkId id = put_in_cache(bytes);
    deny({id});
    auto taker = take(id, bytes);
    ASSERT_TRUE(taker->error);
    EXPECT_TRUE(is_refusal(*taker->error));

    const auto outcome = store(id, bytes);
    ASSERT_FALSE(outcome.ok());
    EXPECT_TRUE(is_refusal(outcome.error()));

    std::optional<std::vector<ChunkStat>> stats;
    service_->stat({id}, [&](auto got) { stats = std::move(got); });
    ASSERT_TRUE(wait([&] { return stats.has_value(); }));
    EXPECT_EQ(stats->at(0).residency, Residency::kNotStored);
    EXPECT_EQ(stats->at(0).size_bytes, 0U);
    EXPECT_EQ(store_.stats_begun, 0U);
    EXPECT_TRUE(service_->list_cached(ChunkId(), 10).entries.empty());
    EXPECT_TRUE(list_stored(ChunkId(), 10).entries.empty());
    EXPECT_EQ(service_->stats().denied, 2U);
}

TEST_F(DenialTest, ServesAgainWhenTheNameIsTakenOffTheList) {
    const Bytes bytes = random_bytes(100'000, 1);
    const ChunkId id = put_in_cache(bytes);
    deny({id});
    EXPECT_TRUE(take(id, bytes)->error);
    deny({});
    auto taker = take(id, bytes);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    EXPECT_EQ(store_.gets_begun, 2U);  // the cache had dropped it
}

TEST_F(DenialTest, PurgesTheCacheAndNothingElse) {
    std::vector<ChunkId> ids;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        ids.push_back(put_in_cache(random_bytes(100, seed)));
    }
    deny({ids[3], ids[11], name_of(random_bytes(5, 99))});
    turn();
    EXPECT_EQ(cache_->stats().chunks, 18U);
    EXPECT_FALSE(cache_->size_of(ids[3]));
    EXPECT_EQ(service_->stats().purged, 2U);
    ASSERT_TRUE(wait([&] { return !std::filesystem::exists(file_of(ids[3])); }));
}

TEST_F(DenialTest, EndsAFetchUnderWay) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    store_.progress(store_.gets()[0], 300'000);
    turn();
    EXPECT_GT(taker->taken, 0U);
    deny({id});
    ASSERT_TRUE(wait([&] { return taker->error.has_value(); }));
    EXPECT_TRUE(is_refusal(*taker->error));
    EXPECT_TRUE(store_.gets()[0]->cancelled);
    EXPECT_EQ(service_->fetches_under_way(), 0U);
    taker.reset();
    EXPECT_EQ(service_->fetch_budget_used_bytes(), 0U);
}

TEST_F(DenialTest, KeepsNothingOfAFetchThatIsBeingVerifiedOrWritten) {
    // Denied in each turn of the loop from the last byte on.
    for (int turns = 0; turns < 30; ++turns) {
        store_.hold_gets = true;
        const Bytes bytes = random_bytes(200'000, static_cast<std::uint64_t>(turns));
        const ChunkId id = put_in_store(bytes);
        auto taker = take(id, bytes);
        store_.finish_get(store_.gets().back());
        int turn_number = 0;
        const std::function<void()> step = [&] {
            if (turn_number++ == turns) return deny({id});
            loop_.post(step);
        };
        step();
        ASSERT_TRUE(wait([&] { return turn_number > turns && taker->ended(); }));
        taker.reset();
        ASSERT_TRUE(wait([&] {
            return !cache_->size_of(id) && !std::filesystem::exists(file_of(id)) &&
                   service_->fetches_under_way() == 0 && jobs_.queued() == 0;
        }));
    }
}

TEST_F(DenialTest, CutsAReadFromTheCache) {
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = put_in_cache(bytes);
    Taker taker(*service_, id, bytes);
    taker.stalled = true;
    ASSERT_TRUE(wait([&] { return taker.take_one(); }));
    deny({id});
    taker.take();
    ASSERT_TRUE(taker.error);
    EXPECT_TRUE(is_refusal(*taker.error));
    EXPECT_LT(taker.taken, bytes.size());
}

TEST_F(DenialTest, EndsAnUploadUnderWay) {
    store_.hold_puts = true;
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    std::vector<Result<StoreOutcome>> outcomes;
    for (int i = 0; i < 3; ++i) {
        service_->store(id, buffer_of(bytes), [&](auto got) { outcomes.push_back(got); });
    }
    ASSERT_TRUE(wait([&] { return store_.puts_begun == 1; }));
    turn();
    deny({id});
    ASSERT_TRUE(wait([&] { return outcomes.size() == 3; }));
    for (const auto& outcome : outcomes) EXPECT_TRUE(is_refusal(outcome.error()));
    EXPECT_TRUE(store_.puts()[0]->cancelled);
    turn();
    EXPECT_FALSE(cache_->size_of(id));
}

TEST_F(DenialTest, FillsPagesPastWhatItLeavesOut) {
    std::vector<ChunkId> ids;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        ids.push_back(put_in_cache(random_bytes(100, seed)));
    }
    std::sort(ids.begin(), ids.end());
    deny({ids.begin() + 5, ids.begin() + 25});
    ChunkPage page = service_->list_cached(ChunkId(), 8);
    ASSERT_EQ(page.entries.size(), 8U);
    EXPECT_TRUE(page.more);
    EXPECT_EQ(page.entries[5].id, ids[25]);
    page = service_->list_cached(page.entries.back().id, 8);
    EXPECT_EQ(page.entries.size(), 2U);
    EXPECT_FALSE(page.more);

    // Of the object store a page may be short, never empty while there is more.
    page = list_stored(ids[4], 4);
    ASSERT_FALSE(page.entries.empty());
    EXPECT_EQ(page.entries[0].id, ids[25]);
    EXPECT_FALSE(list_stored(ids[25], 4).more);
}

TEST_F(DenialTest, AnAnswerOfTheStoreThatComesLateIsNotTold) {
    store_.hold_stats = true;
    const ChunkId id = put_in_store(random_bytes(100, 1));
    std::optional<std::vector<ChunkStat>> stats;
    service_->stat({id}, [&](auto got) { stats = std::move(got); });
    turn();
    deny({id});
    store_.finish_stat(store_.stats_asked()[0]);
    ASSERT_TRUE(wait([&] { return stats.has_value(); }));
    EXPECT_EQ(stats->at(0).residency, Residency::kNotStored);
}

}  // namespace
}  // namespace kollator::chunk
