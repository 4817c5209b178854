// Deleting chunks through the service, against all that may be under way with them.
#include <gtest/gtest.h>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

class RemovalTest : public ServiceTest {
 protected:
    struct Removal {
        std::optional<Result<std::int64_t>> outcome;
    };
    std::shared_ptr<Removal> begin_remove(const ChunkId& id) {
        auto removal = std::make_shared<Removal>();
        service_->remove(key_of(id), [removal](auto got) { removal->outcome = std::move(got); });
        EXPECT_FALSE(removal->outcome) << "answered before remove() returned";
        return removal;
    }
    Result<std::int64_t> remove(const ChunkId& id) {
        const auto removal = begin_remove(id);
        EXPECT_TRUE(wait([&] { return removal->outcome.has_value(); }));
        return *removal->outcome;
    }
    void delay_deletions() {
        DeletionOptions options;
        options.path = folder_.path() / "deletes";
        options.min_age = std::chrono::hours(24 * 90);
        ASSERT_TRUE(service_->open_deletions(fs_, options));
    }
    Residency residency(const ChunkId& id) {
        std::optional<std::vector<ChunkStat>> stats;
        service_->stat({id}, [&](auto got) { stats = std::move(got); });
        EXPECT_TRUE(wait([&] { return stats.has_value(); }));
        return stats->at(0).residency;
    }
    std::size_t listed() {
        std::optional<Result<ChunkPage>> page;
        service_->list_stored(ChunkId(), 10, [&](auto got) { page = std::move(got); });
        EXPECT_TRUE(wait([&] { return page.has_value(); }));
        return (*page)->entries.size() + service_->list_cached(ChunkId(), 10).entries.size();
    }
    const Bytes bytes_ = random_bytes(300'000, 1);
    const ChunkId id_ = name_of(bytes_);
};

TEST_F(RemovalTest, TakesAChunkFromTheCacheAndTheStore) {
    ASSERT_TRUE(store(id_, bytes_).ok());
    ASSERT_TRUE(wait_cached(id_));
    EXPECT_EQ(*remove(id_), 0);
    EXPECT_TRUE(store_.objects.empty());
    EXPECT_FALSE(cache_->size_of(id_));
    EXPECT_EQ(residency(id_), Residency::kNotStored);
    auto taker = take(id_, bytes_);
    ASSERT_TRUE(wait([&] { return taker->ended(); }));
    EXPECT_EQ(taker->error->code, ErrorCode::kNotFound);
    EXPECT_FALSE(is_refusal(*taker->error));
    EXPECT_EQ(*remove(id_), 0);
}

TEST_F(RemovalTest, AChunkThatIsStoredAgainIsPutAgain) {
    ASSERT_TRUE(store(id_, bytes_).ok());
    ASSERT_TRUE(remove(id_));
    const auto again = store(id_, bytes_);
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->already_there);
    EXPECT_TRUE(store_.objects.contains(key_of(id_)));
}

TEST_F(RemovalTest, EndsAFetchUnderWay) {
    put_in_store(bytes_);
    store_.hold_gets = true;
    auto taker = take(id_, bytes_);
    store_.progress(store_.gets()[0], 200'000);
    turn();
    ASSERT_TRUE(remove(id_));
    ASSERT_TRUE(wait([&] { return taker->error.has_value(); }));
    EXPECT_EQ(taker->error->code, ErrorCode::kNotFound);
    EXPECT_EQ(service_->fetches_under_way(), 0U);
    EXPECT_FALSE(cache_->size_of(id_));
}

/// Else the upload would bring back what was told to be gone.
TEST_F(RemovalTest, WaitsForAnUploadOfTheSameName) {
    store_.hold_puts = true;
    std::optional<Result<StoreOutcome>> stored;
    service_->store(id_, buffer_of(bytes_), [&](auto got) { stored = got; });
    ASSERT_TRUE(wait([&] { return store_.puts_begun == 1; }));
    const auto removal = begin_remove(id_);
    turn();
    EXPECT_FALSE(removal->outcome);
    EXPECT_TRUE(store_.removes().empty());
    store_.finish_put(store_.puts()[0]);
    ASSERT_TRUE(wait([&] { return removal->outcome.has_value(); }));
    EXPECT_TRUE(stored->ok());
    EXPECT_TRUE(store_.objects.empty());
    EXPECT_EQ(listed(), 0U);
}

TEST_F(RemovalTest, AStoreWaitsForARemovalOfTheSameName) {
    put_in_store(bytes_);
    store_.hold_removes = true;
    const auto removal = begin_remove(id_);
    std::optional<Result<StoreOutcome>> stored;
    service_->store(id_, buffer_of(bytes_), [&](auto got) { stored = got; });
    ASSERT_TRUE(wait([&] { return jobs_.queued() == 0; }));
    turn();
    EXPECT_EQ(store_.puts_begun, 0U);
    store_.finish_remove(store_.removes()[0]);
    ASSERT_TRUE(wait([&] { return stored.has_value(); }));
    EXPECT_TRUE(stored->ok());
    EXPECT_TRUE(removal->outcome.has_value());
    EXPECT_TRUE(store_.objects.contains(key_of(id_)));
}

/// The store may have said that it is there just before it was deleted. Who stores it then must not
/// be told that it is there already.
TEST_F(RemovalTest, ALateAnswerOfTheStoreIsNotRemembered) {
    put_in_store(bytes_);
    store_.hold_stats = true;
    service_->stat({id_}, [](const auto&) {});
    turn();
    auto held = store_.stats_asked()[0];
    store_.hold_stats = false;
    const Bytes content = store_.objects[key_of(id_)];
    ASSERT_TRUE(remove(id_));
    store_.objects[key_of(id_)] = content;  // as the answer has it that is still on its way
    store_.finish_stat(held);
    store_.objects.clear();
    ASSERT_TRUE(store(id_, bytes_).ok());
    EXPECT_TRUE(store_.objects.contains(key_of(id_)));
}

TEST_F(RemovalTest, WhatWaitsForItsDayIsGoneForEverybody) {
    delay_deletions();
    ASSERT_TRUE(store(id_, bytes_).ok());
    ASSERT_TRUE(wait_cached(id_));
    EXPECT_GT(*remove(id_), 0);
    EXPECT_TRUE(store_.objects.contains(key_of(id_)));
    EXPECT_EQ(listed(), 0U);
    EXPECT_EQ(residency(id_), Residency::kNotStored);
    EXPECT_EQ(take(id_, bytes_)->error->code, ErrorCode::kNotFound);
    EXPECT_EQ(service_->deletion_stats().waiting, 1U);
}

TEST_F(RemovalTest, AStoreOfWhatWaitsTakesItBack) {
    delay_deletions();
    ASSERT_TRUE(store(id_, bytes_).ok());
    ASSERT_TRUE(remove(id_));
    Bytes wrong = bytes_;
    wrong[0] ^= 1;
    EXPECT_FALSE(store(id_, wrong).ok());  // a stranger cannot take it back without having it
    EXPECT_EQ(service_->deletion_stats().waiting, 1U);
    ASSERT_TRUE(store(id_, bytes_).ok());
    EXPECT_EQ(service_->deletion_stats().waiting, 0U);
    auto taker = take(id_, bytes_);
    ASSERT_TRUE(wait([&] { return taker->finished; }));
}

TEST_F(RemovalTest, ADeniedNameIsNotTakenBack) {
    delay_deletions();
    ASSERT_TRUE(store(id_, bytes_).ok());
    ASSERT_TRUE(remove(id_));
    service_->set_denylist(
        std::make_shared<const Denylist>(std::vector<Denylist::Hash>{id_.bytes()}));
    EXPECT_TRUE(is_refusal(store(id_, bytes_).error()));
    EXPECT_EQ(service_->deletion_stats().waiting, 1U);
}

}  // namespace
}  // namespace kollator::chunk
