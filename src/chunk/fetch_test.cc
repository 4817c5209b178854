#include <gtest/gtest.h>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

class FetchTest : public ServiceTest {};

TEST_F(FetchTest, ServesFromTheStoreAndThenFromTheCache) {
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto first = take(id, bytes);
    ASSERT_TRUE(wait([&] { return first->ended(); }));
    EXPECT_TRUE(first->finished);
    EXPECT_EQ(first->taken, bytes.size());
    EXPECT_EQ(first->reader->total_bytes(), bytes.size());
    ASSERT_TRUE(wait_cached(id));
    auto second = take(id, bytes);
    ASSERT_TRUE(wait([&] { return second->finished; }));
    EXPECT_EQ(store_.gets_begun, 1U);
    EXPECT_EQ(service_->stats().hits, 1U);
    EXPECT_EQ(service_->stats().misses, 1U);
    EXPECT_EQ(service_->stats().served_bytes, 600'000U);
    EXPECT_EQ(service_->fetch_budget_used_bytes(), 0U);
}

TEST_F(FetchTest, FiftyReadersCostOneGet) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(500'000, 1);
    const ChunkId id = put_in_store(bytes);
    std::vector<std::unique_ptr<Taker>> takers;
    for (int i = 0; i < 50; ++i) takers.push_back(take(id, bytes));
    store_.progress(store_.gets()[0], 200'000);
    turn();
    for (int i = 0; i < 5; ++i) takers.push_back(take(id, bytes));
    store_.finish_get(store_.gets()[0]);
    for (const auto& taker : takers) {
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_EQ(taker->taken, bytes.size());
    }
    EXPECT_EQ(store_.gets_begun, 1U);
    EXPECT_EQ(service_->stats().shared_fetches, 54U);
}

TEST_F(FetchTest, GivesTheFirstBytesBeforeTheStoreHasFinished) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    store_.progress(store_.gets()[0], 1'000);
    turn();
    EXPECT_EQ(taker->taken, 0U);  // not worth a message yet
    store_.progress(store_.gets()[0], 100'000);
    turn();
    EXPECT_EQ(taker->taken, 100'000U);
    EXPECT_EQ(taker->reader->total_bytes(), 1'000'000U);
    store_.progress(store_.gets()[0], 1'000'000);
    turn();
    EXPECT_EQ(taker->taken, 1'000'000U - 65'536U);  // the last ones wait for the SHA-256
    EXPECT_FALSE(taker->reader->finished());
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
}

TEST_F(FetchTest, ServesRangesFromTheOneFetchOfTheWhole) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(400'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto middle = take(id, bytes, 100'000, 150'000);
    auto small = take(id, bytes, 10, 20);
    auto tail = take(id, bytes, 399'999, 0);
    auto beyond = take(id, bytes, 300'000, 0xFFFFFFFF);
    auto past = take(id, bytes, 400'000, 1);
    store_.progress(store_.gets()[0], 220'000);
    turn();
    EXPECT_EQ(middle->taken, 250'000U - 65'536U - 100'000U);
    EXPECT_EQ(small->taken, 0U);  // smaller than what is held back
    ASSERT_TRUE(past->error);
    EXPECT_EQ(past->error->code, ErrorCode::kInvalid);
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return middle->ended() && small->ended() && tail->ended(); }));
    ASSERT_TRUE(wait([&] { return beyond->ended(); }));
    EXPECT_EQ(middle->taken, 150'000U);
    EXPECT_EQ(small->taken, 20U);
    EXPECT_EQ(tail->taken, 1U);
    EXPECT_EQ(beyond->taken, 100'000U);
    EXPECT_EQ(store_.gets_begun, 1U);
    ASSERT_TRUE(wait_cached(id));
    auto cached = take(id, bytes, 70'000, 300'000);
    auto cached_past = take(id, bytes, 400'000, 1);
    ASSERT_TRUE(wait([&] { return cached->ended() && cached_past->ended(); }));
    EXPECT_EQ(cached->taken, 300'000U);
    EXPECT_EQ(cached_past->error->code, ErrorCode::kInvalid);
}

TEST_F(FetchTest, WrongBytesNeverCompleteAReaderAndAreNeverCached) {
    store_.hold_gets = true;
    store_.corrupt = [](Bytes& body) { body[250'000] ^= 1; };
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto early = std::make_unique<Taker>(*service_, id, Bytes());
    early->take();
    store_.progress(store_.gets()[0], 100'000);
    turn();
    EXPECT_GT(early->taken, 0U);
    auto late = std::make_unique<Taker>(*service_, id, Bytes());
    late->stalled = true;
    ASSERT_EQ(late->reader->next(1)->has_value(), true);  // has a byte as well
    auto small = take(id, bytes, 0, 1000);                // has none
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return store_.gets_begun == 2; }));  // once more, for `small`
    late->take();
    ASSERT_TRUE(wait([&] { return early->ended() && late->ended(); }));
    EXPECT_EQ(early->error->code, ErrorCode::kCorrupt);
    EXPECT_EQ(late->error->code, ErrorCode::kCorrupt);
    EXPECT_FALSE(small->ended());
    store_.finish_get(store_.gets()[1]);
    ASSERT_TRUE(wait([&] { return small->ended(); }));
    EXPECT_EQ(small->error->code, ErrorCode::kCorrupt);
    EXPECT_EQ(small->taken, 0U);
    EXPECT_EQ(store_.gets_begun, 2U);
    EXPECT_EQ(service_->stats().verify_failures, 2U);
    EXPECT_EQ(cache_->stats().insertions, 0U);
    EXPECT_FALSE(cache_->size_of(id));
}

TEST_F(FetchTest, ASecondFetchHealsThoseWhoHaveNoByteYet) {
    int bodies = 0;
    store_.corrupt = [&](Bytes& body) { body[0] ^= ++bodies == 1; };
    const Bytes bytes = random_bytes(50'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_TRUE(taker->finished);
    EXPECT_EQ(service_->stats().verify_failures, 1U);
}

TEST_F(FetchTest, ARetryWithOtherBytesEndsThoseWhoGotTheFirstOnes) {
    store_.hold_gets = true;
    int bodies = 0;
    store_.corrupt = [&](Bytes& body) { body[0] ^= ++bodies == 1; };
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto fooled = std::make_unique<Taker>(*service_, id, Bytes());
    fooled->take();
    store_.progress(store_.gets()[0], 100'000);
    turn();
    EXPECT_GT(fooled->taken, 0U);
    auto waiting = take(id, bytes, 150'000);
    store_.restart(store_.gets()[0]);
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return fooled->ended() && waiting->ended(); }));
    EXPECT_EQ(fooled->error->code, ErrorCode::kCorrupt);
    EXPECT_TRUE(waiting->finished);
}

TEST_F(FetchTest, ARetryWithTheSameBytesGoesUnnoticed) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    store_.progress(store_.gets()[0], 150'000);
    turn();
    store_.restart(store_.gets()[0]);
    store_.progress(store_.gets()[0], 60'000);
    turn();
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_TRUE(taker->finished);
}

TEST_F(FetchTest, AReaderThatStallsHoldsNoChunkInMemory) {
    const Bytes bytes = random_bytes(2'000'000, 1);
    const ChunkId id = put_in_store(bytes);
    store_.hold_gets = true;
    auto slow = std::make_unique<Taker>(*service_, id, bytes);
    EXPECT_FALSE(slow->take_one());
    slow->stalled = true;
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait_cached(id));
    ASSERT_TRUE(wait([&] { return service_->fetch_budget_used_bytes() == 0; }));
    EXPECT_TRUE(slow->ready_seen);
    slow->take();
    ASSERT_TRUE(wait([&] { return slow->ended(); }));
    EXPECT_TRUE(slow->finished);
    EXPECT_EQ(store_.gets_begun, 1U);
    EXPECT_EQ(cache_->stats().hits, 0U);  // counted as a miss already
}

TEST_F(FetchTest, CancelsWhatNobodyReadsUnlessMostOfItIsThere) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    store_.progress(store_.gets()[0], 140'000);
    taker.reset();
    EXPECT_TRUE(store_.gets()[0]->cancelled);
    EXPECT_EQ(service_->fetches_under_way(), 0U);
    taker = take(id, bytes);
    ASSERT_EQ(store_.gets().size(), 2U);
    store_.progress(store_.gets()[1], 160'000);
    taker.reset();
    EXPECT_FALSE(store_.gets()[1]->cancelled);
    store_.finish_get(store_.gets()[1]);
    ASSERT_TRUE(wait_cached(id));
    EXPECT_EQ(service_->stats().cancelled_fetches, 1U);
}

TEST_F(FetchTest, DamageInTheCacheIsInvisibleToTheReader) {
    const Bytes bytes = random_bytes(400'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto first = take(id, bytes);
    ASSERT_TRUE(wait([&] { return first->finished; }));
    ASSERT_TRUE(wait_cached(id));
    ASSERT_TRUE((*fs_.open_write(file_of(id), 0644))->write_at(300'000, as_bytes("wrong")).ok());
    auto second = take(id, bytes);
    ASSERT_TRUE(wait([&] { return second->ended(); }));
    EXPECT_TRUE(second->finished);
    EXPECT_EQ(second->taken, bytes.size());
    EXPECT_EQ(service_->stats().healed_reads, 1U);
    EXPECT_EQ(store_.gets_begun, 2U);
    ASSERT_TRUE(wait_cached(id));
    auto third = take(id, bytes);
    ASSERT_TRUE(wait([&] { return third->finished; }));
    EXPECT_EQ(store_.gets_begun, 2U);
}

TEST_F(FetchTest, ServesWithoutACache) {
    fs_.set_hook([](auto, const auto&) -> std::optional<Error> {
        return make_error(ErrorCode::kUnavailable, "no disk");
    });
    restart();
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto slow = std::make_unique<Taker>(*service_, id, bytes);
    slow->stalled = true;
    EXPECT_FALSE(slow->take_one());
    ASSERT_TRUE(wait([&] { return service_->stats().fetched_bytes > 0; }));
    turn();
    auto joined = take(id, bytes);  // the buffer is there for its readers
    ASSERT_TRUE(wait([&] { return joined->finished; }));
    EXPECT_EQ(store_.gets_begun, 1U);
    EXPECT_EQ(service_->fetch_budget_used_bytes(), 300'000U);
    slow->take();
    EXPECT_TRUE(slow->finished);
    EXPECT_EQ(service_->fetch_budget_used_bytes(), 0U);
    EXPECT_EQ(service_->fetches_under_way(), 0U);
}

TEST_F(FetchTest, FetchesWaitForTheBudgetAndGiveUpInTime) {
    options_.max_chunk_bytes = 400'000;
    options_.fetch_budget_bytes = 1'000'000;
    restart();
    store_.hold_gets = true;
    std::vector<Bytes> bytes;
    std::vector<std::unique_ptr<Taker>> takers;
    for (std::uint64_t i = 0; i < 4; ++i) {
        bytes.push_back(random_bytes(400'000, i));
        takers.push_back(take(put_in_store(bytes[i]), bytes[i]));
    }
    EXPECT_EQ(store_.gets_begun, 2U);
    store_.finish_get(store_.gets()[0]);
    ASSERT_TRUE(wait([&] { return store_.gets_begun == 3; }));
    EXPECT_TRUE(wait([&] { return takers[0]->finished; }));
    clock_.advance(std::chrono::seconds(11));
    ASSERT_TRUE(wait([&] { return takers[3]->ended(); }));
    EXPECT_EQ(takers[3]->error->code, ErrorCode::kLimit);
    store_.finish_get(store_.gets()[1]);
    store_.finish_get(store_.gets()[2]);
    EXPECT_TRUE(wait([&] { return takers[1]->finished && takers[2]->finished; }));
}

TEST_F(FetchTest, WaitsWhereTheStoreFindsTheBudgetUsedUp) {
    options_.max_chunk_bytes = 400'000;
    options_.fetch_budget_bytes = 500'000;
    restart();
    const Bytes one = random_bytes(400'000, 1);
    const Bytes two = random_bytes(400'000, 2);
    auto hog = take(put_in_store(one), one);
    hog->keep = true;
    ASSERT_TRUE(wait([&] { return hog->finished; }));
    auto waiting = take(put_in_store(two), two);
    turn();
    if (!hog->kept.empty() && service_->fetch_budget_used_bytes() > 0) {
        EXPECT_FALSE(waiting->ended());
    }
    hog->kept.clear();
    ASSERT_TRUE(wait([&] { return waiting->ended(); }));
    EXPECT_TRUE(waiting->finished);
}

TEST_F(FetchTest, BoundsFetchesAndReaders) {
    options_.max_fetches = 2;
    options_.max_fetch_readers = 4;
    restart();
    store_.hold_gets = true;
    std::vector<std::unique_ptr<Taker>> takers;
    for (std::uint64_t i = 0; i < 3; ++i) {
        const Bytes bytes = random_bytes(1000, i);
        takers.push_back(take(put_in_store(bytes), bytes));
    }
    ASSERT_TRUE(takers[2]->error);
    EXPECT_EQ(takers[2]->error->code, ErrorCode::kLimit);
    const Bytes bytes = random_bytes(1000, 0);
    for (int i = 0; i < 3; ++i) takers.push_back(take(name_of(bytes), bytes));
    EXPECT_FALSE(takers[4]->ended());
    ASSERT_TRUE(takers[5]->error);
    EXPECT_EQ(takers[5]->error->code, ErrorCode::kLimit);
}

TEST_F(FetchTest, TellsTheStoresErrors) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = put_in_store(bytes);
    for (const auto& [given, told] : std::vector<std::pair<ErrorCode, ErrorCode>>{
             {ErrorCode::kUnavailable, ErrorCode::kUnavailable},
             {ErrorCode::kTimeout, ErrorCode::kTimeout},
             {ErrorCode::kCorrupt, ErrorCode::kCorrupt},
             {ErrorCode::kInvalid, ErrorCode::kUnavailable}}) {
        store_.get_error = make_error(given, "out of order");
        auto taker = take(id, bytes);
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_EQ(taker->error->code, told);
    }
    store_.get_error.reset();
    const Bytes large = random_bytes(options_.max_chunk_bytes + 1, 2);
    auto taker = take(put_in_store(large), large);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_EQ(taker->error->code, ErrorCode::kInvalid);
}

TEST_F(FetchTest, AnObjectWithoutBytesIsNoChunk) {
    const ChunkId id = name_of({});
    store_.objects[key_of(id)] = {};
    auto taker = take(id, {});
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_EQ(taker->error->code, ErrorCode::kCorrupt);
}

TEST_F(FetchTest, AFloodOfUnknownNamesIsNoFloodOfRequests) {
    const Bytes bytes = random_bytes(1000, 1);
    const ChunkId id = name_of(bytes);
    for (int i = 0; i < 20; ++i) {
        auto taker = take(id, bytes);
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_EQ(taker->error->code, ErrorCode::kNotFound);
    }
    EXPECT_EQ(store_.gets_begun, 1U);
    clock_.advance(std::chrono::seconds(2));
    auto again = take(id, bytes);
    ASSERT_TRUE(wait([&] { return again->ended(); }));
    EXPECT_EQ(store_.gets_begun, 2U);
    ASSERT_TRUE(store(id, bytes).ok());  // from now on it is there
    auto found = take(id, bytes);
    ASSERT_TRUE(wait([&] { return found->ended(); }));
    EXPECT_TRUE(found->finished);
}

TEST_F(FetchTest, ReadersMayOutliveTheService) {
    store_.hold_gets = true;
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    taker->stalled = true;
    service_.reset();
    EXPECT_TRUE(store_.gets()[0]->cancelled);
    auto slice = taker->reader->next(10);
    ASSERT_FALSE(slice.ok());
    EXPECT_EQ(slice.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace kollator::chunk
