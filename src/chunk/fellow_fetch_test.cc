// A miss that asks a fellow worker before the object store.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

/// Answers when it is told to.
class FakeFellows final : public cluster::ChunkSource {
 public:
    struct Asked {
        ChunkId id;
        Options options;
        OnProgress on_progress;
        OnDone on_done;
        bool let_go = false;
    };

    std::unique_ptr<Request> fetch(const ChunkId& id, const Options& options,
                                   OnProgress on_progress, OnDone on_done) override {
        if (owns_all) return nullptr;
        asked.push_back(std::make_shared<Asked>(
            Asked{id, options, std::move(on_progress), std::move(on_done)}));
        return std::make_unique<Handle>(asked.back());
    }
    void was_corrupt(const ChunkId& id) override { corrupt.push_back(id); }

    void give(std::size_t index, ByteSpan bytes) {
        const auto request = asked.at(index);
        auto buffer = std::make_shared<Buffer>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), buffer->data());
        request->on_progress(buffer, bytes.size() / 2);
        request->on_done(SharedBuffer(std::move(buffer)));
    }
    void fail(std::size_t index, ErrorCode code) {
        const auto request = asked.at(index);
        request->on_done(make_error(code, "no"));
    }

    bool owns_all = false;  ///< we ourselves
    std::vector<std::shared_ptr<Asked>> asked;
    std::vector<ChunkId> corrupt;

 private:
    struct Handle final : Request {
        explicit Handle(std::shared_ptr<Asked> its) : asked(std::move(its)) {}
        ~Handle() override { asked->let_go = true; }
        const std::shared_ptr<Asked> asked;
    };
};

class FellowFetch : public ServiceTest {
 protected:
    FellowFetch() { service_->set_fellows(&fellows_); }
    ~FellowFetch() override { service_->set_fellows(nullptr); }

    FakeFellows fellows_;
};

TEST_F(FellowFetch, TheFellowsBytesAreServedKeptAndCostNoGet) {
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = name_of(bytes);
    auto taker = take(id, bytes);
    ASSERT_EQ(fellows_.asked.size(), 1U);
    EXPECT_EQ(fellows_.asked[0]->id, id);
    fellows_.give(0, bytes);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_TRUE(taker->finished);
    ASSERT_TRUE(wait_cached(id));
    EXPECT_EQ(store_.gets_begun, 0U);
    EXPECT_EQ(service_->stats().fetches, 0U);
}

TEST_F(FellowFetch, WhatAFellowGaveIsToldAsThereForAWhileOnceTheOwnCacheHasLostIt) {
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = name_of(bytes);
    auto taker = take(id, bytes);
    fellows_.give(0, bytes);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    ASSERT_TRUE(wait_cached(id));
    EXPECT_EQ(service_->stat_known({id})[0].residency, Residency::kCachedHere);
    taker.reset();
    cache_->remove(id);
    const ChunkStat there = service_->stat_known({id})[0];
    EXPECT_EQ(there.residency, Residency::kFellow);
    EXPECT_EQ(there.size_bytes, bytes.size());
    EXPECT_EQ(store_.stats_begun, 0U);
    clock_.advance(ChunkServiceOptions().at_fellow_ttl);
    EXPECT_EQ(service_->stat_known({id})[0].residency, Residency::kUnknown);
}

TEST_F(FellowFetch, ManyReadersAskOnce) {
    const Bytes bytes = random_bytes(300'000, 1);
    const ChunkId id = name_of(bytes);
    std::vector<std::unique_ptr<Taker>> takers;
    for (int i = 0; i < 20; ++i) takers.push_back(take(id, bytes));
    EXPECT_EQ(fellows_.asked.size(), 1U);
    fellows_.give(0, bytes);
    for (const auto& taker : takers) {
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_TRUE(taker->finished);
    }
}

TEST_F(FellowFetch, BytesAreGivenOnAsTheyCome) {
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = name_of(bytes);
    auto taker = take(id, bytes);
    auto buffer = std::make_shared<Buffer>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), buffer->data());
    fellows_.asked[0]->on_progress(buffer, 400'000);
    turn();
    EXPECT_EQ(taker->taken, 400'000U);
    EXPECT_FALSE(taker->finished);
    fellows_.asked[0]->on_done(SharedBuffer(buffer));
    ASSERT_TRUE(wait([&] { return taker->finished; }));
}

TEST_F(FellowFetch, WhateverTheFellowLacksComesFromTheStore) {
    std::uint64_t seed = 0;
    for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kTimeout, ErrorCode::kUnavailable,
                                 ErrorCode::kLimit, ErrorCode::kInvalid}) {
        const Bytes bytes = random_bytes(100'000, ++seed);
        const ChunkId id = put_in_store(bytes);
        auto taker = take(id, bytes);
        fellows_.fail(fellows_.asked.size() - 1, code);
        ASSERT_TRUE(wait([&] { return taker->ended(); }));
        EXPECT_TRUE(taker->finished) << static_cast<int>(code);
        EXPECT_EQ(store_.gets_begun, seed);
    }
}

TEST_F(FellowFetch, AFellowThatStopsInTheMiddleIsReplacedByTheStoreUnseen) {
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    auto buffer = std::make_shared<Buffer>(bytes.size());
    std::copy(bytes.begin(), bytes.begin() + 400'000, buffer->data());
    fellows_.asked[0]->on_progress(buffer, 400'000);
    turn();
    EXPECT_EQ(taker->taken, 400'000U);
    fellows_.fail(0, ErrorCode::kTimeout);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_TRUE(taker->finished);
    EXPECT_EQ(taker->taken, bytes.size());
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(FellowFetch, WrongBytesAreNotServedButFetchedFromTheStore) {
    const Bytes bytes = random_bytes(50'000, 1);  // small: nothing is given before it is verified
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    fellows_.give(0, random_bytes(50'000, 2));
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_TRUE(taker->finished);
    EXPECT_EQ(fellows_.corrupt, std::vector<ChunkId>{id});
    EXPECT_EQ(service_->stats().verify_failures, 0U) << "the object store is not at fault";
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(FellowFetch, WhoWasGivenWrongBytesIsTold) {
    const Bytes bytes = random_bytes(1'000'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, {});
    const Bytes wrong = random_bytes(1'000'000, 2);
    fellows_.give(0, wrong);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    ASSERT_TRUE(taker->error.has_value());
    EXPECT_EQ(taker->error->code, ErrorCode::kCorrupt);
    EXPECT_EQ(fellows_.corrupt.size(), 1U);
}

TEST_F(FellowFetch, AFellowsRequestGoesToNoOtherFellow) {
    const Bytes bytes = random_bytes(100'000, 1);
    const ChunkId id = put_in_store(bytes);
    bool ready = false;
    auto reader = service_->open_for_fellow(id, 0, 0, [&] { ready = true; });
    ASSERT_FALSE(reader->next(60'000)->has_value());
    ASSERT_TRUE(wait([&] { return ready; }));
    EXPECT_TRUE(fellows_.asked.empty());
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(FellowFetch, WhatWeOwnComesFromTheStore) {
    fellows_.owns_all = true;
    const Bytes bytes = random_bytes(100'000, 1);
    const ChunkId id = put_in_store(bytes);
    auto taker = take(id, bytes);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
    EXPECT_EQ(store_.gets_begun, 1U);
}

TEST_F(FellowFetch, NobodyReadsAnyMoreSoTheFellowIsLetGo) {
    auto taker = take(name_of(random_bytes(10, 1)), {});
    ASSERT_EQ(fellows_.asked.size(), 1U);
    taker.reset();
    EXPECT_TRUE(fellows_.asked[0]->let_go);
}

}  // namespace
}  // namespace kollator::chunk
