#include "chunk/prefetcher.h"

#include <algorithm>
#include <string>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

constexpr std::uint64_t kReader = 7;
constexpr std::uint64_t kOther = 8;
constexpr std::size_t kChunkBytes = 1000;
constexpr std::size_t kChunks = 24;

std::string string_of(const std::string& text) {
    return std::to_string(text.size()) + ":" + text;
}

/// A file of chunks in the object store, which the service knows by its metadata.
class PrefetcherTest : public ServiceTest {
 protected:
    PrefetcherTest() {
        for (std::size_t n = 0; n < kChunks; ++n) {
            contents_.push_back(random_bytes(kChunkBytes, 100 + n));
            ids_.push_back(put_in_store(contents_.back()));
        }
    }
    void begin() {
        restart();
        std::string hashes;
        for (const ChunkId& id : ids_) hashes.append(id.bytes().begin(), id.bytes().end());
        const std::string info =
            "d9:file treed8:file.bind0:d6:lengthi" + std::to_string(kChunks * kChunkBytes) +
            "e11:pieces root" + string_of(std::string(32, 'r')) + "eee21:kollator-chunk-hashes" +
            string_of(hashes) + "19:kollator-chunk-sizei" + std::to_string(kChunkBytes) +
            "e12:meta versioni2e4:name8:file.bin12:piece lengthi16384ee";
        const std::string text = "d4:info" + info + "12:piece layersdee";
        bool stored = false;
        service_->store(MetadataId(crypto::sha256(as_bytes(info))),
                        buffer_of(Bytes(text.begin(), text.end())),
                        [&](const auto& outcome) { stored = outcome.ok(); });
        ASSERT_TRUE(wait([&] { return stored && cache_->stats().foreseeable == kChunks; }));
        store_.hold_gets = true;
    }
    /// As a session does.
    std::unique_ptr<Taker> ask(std::size_t index, std::uint64_t reader = kReader) {
        service_->reader_at(reader, ids_[index]);
        auto taker = take(ids_[index], contents_[index]);
        turn();
        return taker;
    }
    /// Asked for and gone: what stays is what was fetched ahead.
    void ask_for_first_two() {
        const auto first = ask(0);
        const auto second = ask(1);
        finish_gets_of({0, 1});
        ASSERT_TRUE(wait([&] { return first->finished && second->finished; }));
        ASSERT_TRUE(wait_cached(ids_[1]));
        turn();
    }
    std::vector<std::size_t> on_their_way() {
        std::vector<std::size_t> places;
        for (const auto& get : store_.gets()) {
            if (get->open()) places.push_back(place_of(get->key));
        }
        std::sort(places.begin(), places.end());
        return places;
    }
    void finish_gets_of(const std::vector<std::size_t>& places) {
        const auto gets = store_.gets();
        for (const auto& get : gets) {
            const bool wanted =
                std::find(places.begin(), places.end(), place_of(get->key)) != places.end();
            if (get->open() && wanted) store_.finish_get(get);
        }
    }
    std::size_t place_of(const store::ObjectKey& key) const {
        const auto at = std::find(ids_.begin(), ids_.end(), ChunkId(key.hash));
        return static_cast<std::size_t>(at - ids_.begin());
    }
    /// What has arrived ahead has been verified, and the cache asked where it was to be.
    void wait_held(std::size_t index) {
        ASSERT_TRUE(wait([&] { return on_their_way_not(index); }));
        turn();
        settle_jobs();  // verified
        settle_jobs();  // and the cache asked
    }
    bool on_their_way_not(std::size_t index) {
        const auto places = on_their_way();
        return std::find(places.begin(), places.end(), index) == places.end();
    }

    std::vector<Bytes> contents_;
    std::vector<ChunkId> ids_;
};

using Places = std::vector<std::size_t>;

TEST_F(PrefetcherTest, WhatAReaderWillAskForIsThereWhenItAsks) {
    begin();
    ask_for_first_two();
    EXPECT_EQ(on_their_way(), Places({2, 3}));
    clock_.advance(std::chrono::milliseconds(900));  // what the store takes
    finish_gets_of({2, 3});
    wait_held(3);
    EXPECT_FALSE(cache_->size_of(ids_[2])) << "nobody asked for it: not written to the disk";
    const std::size_t begun = store_.gets_begun;

    const auto third = ask(2);
    EXPECT_TRUE(wait([&] { return third->finished; }));
    EXPECT_TRUE(wait_cached(ids_[2])) << "now it is as any other";
    EXPECT_EQ(service_->stats().prefetch_useful, 2U) << "the second request too found its fetch";
    EXPECT_EQ(std::count_if(store_.gets().begin(), store_.gets().end(),
                            [&](const auto& get) { return place_of(get->key) == 2; }),
              1);
    EXPECT_GT(store_.gets_begun, begun) << "and it looks further ahead";
}

TEST_F(PrefetcherTest, ARequestJoinsTheFetchThatIsOnItsWay) {
    begin();
    ask_for_first_two();
    const auto third = ask(2);
    EXPECT_EQ(on_their_way(), Places({2, 3, 4}));
    finish_gets_of({2});
    EXPECT_TRUE(wait([&] { return third->finished; }));
    EXPECT_EQ(service_->stats().prefetch_wasted, 0U);
}

TEST_F(PrefetcherTest, WhatOnlyALeaverWantedIsCancelled) {
    begin();
    ask_for_first_two();
    service_->reader_left(kReader);
    EXPECT_EQ(on_their_way(), Places());
    EXPECT_EQ(service_->stats().prefetch_wasted, 2U);
    EXPECT_EQ(service_->prefetches_held(), 0U);
}

TEST_F(PrefetcherTest, WhatAnotherReaderWantsGoesOn) {
    begin();
    ask_for_first_two();
    const auto other = ask(1, kOther);
    ASSERT_TRUE(wait([&] { return other->finished; }));
    const auto next = ask(2, kOther);
    service_->reader_left(kReader);
    EXPECT_EQ(on_their_way(), Places({2, 3, 4}));
}

TEST_F(PrefetcherTest, WhatIsHeldGoesWithItsReader) {
    begin();
    ask_for_first_two();
    finish_gets_of({2, 3});
    wait_held(3);
    const std::size_t held = service_->fetch_budget_used_bytes();
    service_->reader_left(kReader);
    EXPECT_EQ(service_->fetch_budget_used_bytes() + 2 * kChunkBytes, held);
    EXPECT_EQ(service_->fetches_under_way(), 0U);
}

TEST_F(PrefetcherTest, AFetchAheadThatFailsIsCountedAndNoMore) {
    begin();
    ask_for_first_two();
    for (const auto& get : std::vector(store_.gets())) {
        if (get->open()) store_.fail_get(get, make_error(ErrorCode::kUnavailable, "down"));
    }
    turn();
    EXPECT_EQ(service_->stats().prefetch_wasted, 2U);
    EXPECT_EQ(service_->prefetches_held(), 0U);
    const auto third = ask(2);
    finish_gets_of({2});
    EXPECT_TRUE(wait([&] { return third->finished; })) << "the request is tried by itself";
}

TEST_F(PrefetcherTest, NothingIsFetchedAheadOfAHurtOrABusyStore) {
    begin();
    const auto in_state = [&](const std::function<void(store::StoreStats&)>& change) {
        const store::StoreStats before = store_.totals();
        change(store_.totals());
        const auto first = ask(0);
        const auto second = ask(1);
        const Places places = on_their_way();
        store_.totals() = before;
        service_->reader_left(kReader);
        return places;
    };
    const Places asked = {0, 1};
    EXPECT_EQ(in_state([](auto& s) { s.breaker = store::BreakerState::kOpen; }), asked);
    EXPECT_EQ(in_state([](auto& s) { s.breaker = store::BreakerState::kHalfOpen; }), asked);
    EXPECT_EQ(in_state([](auto& s) { s.egress = {"2026-11", 1, 1, true}; }), asked);
    EXPECT_EQ(in_state([](auto& s) { s.in_flight_limit = 64, s.in_flight = 48; }), asked)
        << "a quarter of the slots stays free";
    EXPECT_EQ(in_state([](auto& s) { s.in_flight_limit = 64, s.in_flight = 46; }),
              Places({0, 1, 2, 3}));
}

TEST_F(PrefetcherTest, ARequestThatFindsNoSlotTakesOne) {
    begin();
    ask_for_first_two();
    ASSERT_EQ(on_their_way(), Places({2, 3}));
    store_.totals().in_flight_limit = 4;
    store_.totals().in_flight = 4;
    const auto elsewhere = ask(10, kOther);
    EXPECT_EQ(on_their_way(), Places({2, 10})) << "the one that is needed last went";
    EXPECT_EQ(service_->stats().prefetch_wasted, 1U);
}

TEST_F(PrefetcherTest, ARequestThatFindsNoMemoryTakesIt) {
    options_.max_chunk_bytes = kChunkBytes;
    options_.fetch_budget_bytes = 4 * kChunkBytes;
    begin();
    const auto first = ask(0);
    finish_gets_of({0});
    ASSERT_TRUE(wait([&] { return first->finished; }));
    ASSERT_TRUE(wait_cached(ids_[0]));
    turn();
    ASSERT_EQ(on_their_way(), Places({1, 2}));
    // Room for two more, and three come.
    const auto a = ask(8, kOther);
    const auto b = ask(10, kOther);
    EXPECT_EQ(on_their_way(), Places({1, 2, 8, 10}));
    const auto c = ask(6, kOther);
    EXPECT_EQ(on_their_way(), Places({1, 6, 8, 10}));
}

TEST_F(PrefetcherTest, MemoryAheadIsBounded) {
    options_.prefetch_budget_bytes = 3 * kChunkBytes;
    begin();
    std::vector<std::unique_ptr<Taker>> takers;
    for (std::size_t n = 0; n < 12; ++n) takers.push_back(ask(n));
    EXPECT_EQ(service_->prefetches_held(), 3U);
}

TEST_F(PrefetcherTest, WhatIsDeniedIsNotFetchedAhead) {
    begin();
    service_->set_denylist(std::make_shared<const Denylist>(std::vector{ids_[2].bytes()}));
    ask_for_first_two();
    EXPECT_EQ(on_their_way(), Places({3}));
    service_->set_denylist(std::make_shared<const Denylist>(std::vector{ids_[3].bytes()}));
    turn();
    EXPECT_EQ(on_their_way(), Places()) << "what was on its way ends";
    EXPECT_EQ(service_->prefetches_held(), 0U);
}

TEST_F(PrefetcherTest, DepthZeroTurnsItOff) {
    options_.prefetch_depth = 0;
    begin();
    ask_for_first_two();
    EXPECT_EQ(on_their_way(), Places());
    EXPECT_EQ(service_->stats().prefetches, 0U);
}

// --- a chunk that the cache does not take, read in ranges --------------------------------------

class LingerTest : public ServiceTest {
 protected:
    LingerTest() {
        cache_bytes_ = 50'000;  // no room for the chunk
        restart();
    }
    /// Reads a range to its end, as a client does that asks for one after the other.
    void read_range(const ChunkId& id, std::uint32_t offset) {
        const auto taker = take(id, content_, offset, 10'000);
        ASSERT_TRUE(wait([&] { return taker->finished; }));
    }
    const Bytes content_ = random_bytes(100'000, 1);
};

TEST_F(LingerTest, ManyRangesCostOneFetch) {
    const ChunkId id = put_in_store(content_);
    for (std::uint32_t offset = 0; offset < 100'000; offset += 10'000) read_range(id, offset);
    EXPECT_EQ(store_.gets_begun, 1U);
    EXPECT_FALSE(cache_->size_of(id));
}

TEST_F(LingerTest, AFetchThatARangeLeavesBehindGoesOn) {
    options_.max_chunk_bytes = 1'000'000;
    restart();
    store_.hold_gets = true;
    const Bytes large = random_bytes(600'000, 2);
    const ChunkId id = put_in_store(large);
    const auto first = take(id, large, 0, 100'000);
    store_.progress(store_.gets()[0], 130'000);
    ASSERT_TRUE(wait([&] { return first->taken > 30'000; }));
    EXPECT_FALSE(store_.gets()[0]->cancelled);
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return first->finished; }));
    const auto second = take(id, large, 100'000, 100'000);
    EXPECT_TRUE(wait([&] { return second->finished; }));
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(LingerTest, ItsTimeAndItsMemoryAreBounded) {
    options_.linger_bytes = 250'000;
    options_.linger_time = std::chrono::milliseconds(20);
    restart();
    std::vector<Bytes> contents;
    std::vector<ChunkId> ids;
    for (std::uint64_t n = 0; n < 3; ++n) {
        contents.push_back(random_bytes(100'000, 10 + n));
        ids.push_back(put_in_store(contents.back()));
        const auto taker = take(ids.back(), contents.back(), 0, 10'000);
        ASSERT_TRUE(wait([&] { return taker->finished; }));
    }
    EXPECT_LE(service_->fetch_budget_used_bytes(), 250'000U);
    EXPECT_EQ(service_->fetches_under_way(), 2U);
    clock_.advance(std::chrono::milliseconds(30));
    EXPECT_TRUE(wait([&] { return service_->fetches_under_way() == 0; }));
    EXPECT_EQ(service_->fetch_budget_used_bytes(), 0U);
}

TEST_F(LingerTest, ARequestThatNeedsTheMemoryGetsIt) {
    options_.max_chunk_bytes = 100'000;
    options_.fetch_budget_bytes = 150'000;
    restart();
    const ChunkId id = put_in_store(content_);
    read_range(id, 0);
    ASSERT_EQ(service_->fetch_budget_used_bytes(), 100'000U);
    const Bytes other = random_bytes(100'000, 3);
    const auto taker = take(put_in_store(other), other);
    EXPECT_TRUE(wait([&] { return taker->finished; }));
}

TEST_F(LingerTest, AWholeReadLeavesNothingBehind) {
    const ChunkId id = put_in_store(content_);
    const auto taker = take(id, content_);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    EXPECT_TRUE(wait([&] { return service_->fetches_under_way() == 0; }));
}

}  // namespace
}  // namespace kollator::chunk
