#include <gtest/gtest.h>

#include "chunk/hint_ledger.h"
#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

ChunkId id_of(std::uint8_t number) {
    std::array<std::uint8_t, 32> bytes{};
    bytes[0] = number;
    return ChunkId(bytes);
}

TEST(HintLedgerTest, AWordCountsOnceAndForAMinute) {
    ManualClock clock;
    HintLedger ledger({});
    EXPECT_FALSE(ledger.take(id_of(1), clock.now()));
    ledger.told(id_of(1), clock.now());
    ledger.told(id_of(1), clock.now());
    EXPECT_TRUE(ledger.take(id_of(1), clock.now()));
    EXPECT_TRUE(ledger.take(id_of(1), clock.now()));
    EXPECT_FALSE(ledger.take(id_of(1), clock.now()));
    ledger.told(id_of(2), clock.now());
    clock.advance(std::chrono::minutes(1));
    EXPECT_FALSE(ledger.take(id_of(2), clock.now()));
}

TEST(HintLedgerTest, IsBounded) {
    ManualClock clock;
    HintLedger ledger({.max_names = 2});
    for (std::uint8_t n = 0; n < 3; ++n) ledger.told(id_of(n), clock.now());
    EXPECT_TRUE(ledger.take(id_of(1), clock.now()));
    EXPECT_FALSE(ledger.take(id_of(2), clock.now()));
}

class HintsTest : public ServiceTest {};

TEST_F(HintsTest, TellsWhatIsKnownHereWithoutAskingTheStore) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId cached = name_of(bytes);
    ASSERT_TRUE(store(cached, bytes).ok());
    ASSERT_TRUE(wait_cached(cached));
    const ChunkId elsewhere = put_in_store(random_bytes(1000, 2));
    const ChunkId denied = name_of(random_bytes(10, 3));
    service_->set_denylist(std::make_shared<const Denylist>(std::vector{denied.bytes()}));

    const auto stats = service_->stat_known({cached, elsewhere, denied});
    ASSERT_EQ(stats.size(), 3U);
    EXPECT_EQ(stats[0].residency, Residency::kCachedHere);
    EXPECT_EQ(stats[0].size_bytes, 1000U);
    EXPECT_EQ(stats[1].residency, Residency::kUnknown);
    EXPECT_EQ(stats[2].residency, Residency::kNotStored);
    EXPECT_EQ(store_.stats_begun, 0U);
}

TEST_F(HintsTest, CountsWhatCameOfThem) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    ASSERT_TRUE(store(id, bytes).ok());
    ASSERT_TRUE(wait_cached(id));
    auto unasked = take(id, bytes);
    ASSERT_TRUE(wait([&] { return unasked->finished; }));
    EXPECT_EQ(service_->stats().hinted_requests, 0U);

    for (int n = 0; n < 2; ++n) (void)service_->stat_known({id, name_of(random_bytes(5, 5))});
    auto hit = take(id, bytes);
    ASSERT_TRUE(wait([&] { return hit->finished; }));
    hit.reset();
    cache_->remove(id);
    auto late = take(id, bytes);
    ASSERT_TRUE(wait([&] { return late->finished; }));
    const ChunkServiceStats stats = service_->stats();
    EXPECT_EQ(stats.hint_names, 4U);
    EXPECT_EQ(stats.hint_resident, 2U);
    EXPECT_EQ(stats.hinted_requests, 2U);
    EXPECT_EQ(stats.hinted_hits, 1U);
}

// --- bytes by where they came from -------------------------------------------------------------

TEST_F(HintsTest, BytesOfTheCacheAreCountedApart) {
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    const auto miss = take(id, bytes);
    ASSERT_TRUE(wait([&] { return miss->finished; }));
    ASSERT_TRUE(wait_cached(id));
    EXPECT_EQ(service_->stats().cached_bytes, 0U);
    const auto hit = take(id, bytes);
    ASSERT_TRUE(wait([&] { return hit->finished; }));
    EXPECT_EQ(service_->stats().served_bytes, 600'000U);
    EXPECT_EQ(service_->stats().cached_bytes, 300'000U);
}

// --- repairs -----------------------------------------------------------------------------------

class RepairsTest : public ServiceTest {};

TEST_F(RepairsTest, WhatWasDamagedIsFetchedAndKeptAnew) {
    std::vector<ChunkId> ids;
    for (std::uint64_t n = 0; n < 5; ++n) ids.push_back(put_in_store(random_bytes(1000, n)));
    for (const ChunkId& id : ids) service_->repair(id);
    for (const ChunkId& id : ids) EXPECT_TRUE(wait_cached(id));
    EXPECT_TRUE(wait([&] { return service_->stats().repairs == 5; }));
    EXPECT_EQ(service_->stats().repair_failures, 0U);
    EXPECT_EQ(service_->stats().misses, 0U) << "nobody asked";
}

TEST_F(RepairsTest, AStoreThatIsAwayIsCountedAndLeftToTheNextRequest) {
    const ChunkId id = put_in_store(random_bytes(1000, 1));
    store_.get_error = make_error(ErrorCode::kUnavailable, "away");
    service_->repair(id);
    service_->repair(name_of(random_bytes(5, 9)));
    EXPECT_TRUE(wait([&] { return service_->stats().repair_failures == 2; }));
    EXPECT_EQ(service_->fetches_under_way(), 0U);
}

TEST_F(RepairsTest, TwoAtATime) {
    store_.hold_gets = true;
    for (std::uint64_t n = 0; n < 5; ++n) service_->repair(put_in_store(random_bytes(1000, n)));
    turn();
    EXPECT_EQ(store_.gets_begun, Repairs::kParallel);
}

}  // namespace
}  // namespace kollator::chunk
