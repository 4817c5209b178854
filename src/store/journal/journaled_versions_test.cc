// Versions of metadata under one name, and removals.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/journaled_store_fixture.h"

namespace kollator::store {
namespace {

TEST_F(JournaledStoreTest, TheNewestVersionOfMetadataArrivesLast) {
    below_.hold_puts = true;
    ASSERT_TRUE(put(make_torrent(1)).ok());
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 1; }));
    ASSERT_TRUE(put(make_torrent(2)).ok());
    const Sample newest = make_torrent(3);
    ASSERT_TRUE(put(newest).ok());
    EXPECT_EQ(names().size(), 1U);
    EXPECT_EQ(*get(newest.key), newest.bytes);
    settle();
    EXPECT_EQ(below_.puts_begun, 1U) << "the older one is still on its way";
    below_.finish_put(below_.puts()[0]);
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 2; }));
    EXPECT_EQ(*get(newest.key), newest.bytes);
    below_.finish_put(below_.puts()[1]);
    ASSERT_TRUE(wait([&] { return names().empty(); }));
    EXPECT_EQ(below_.objects.at(newest.key), newest.bytes);
    ASSERT_TRUE(wait([&] { return store_->journal_stats().size_bytes == 0; }));
}

TEST_F(JournaledStoreTest, VersionsThatComeAtOnceAreWrittenOneAfterTheOther) {
    below_.hold_puts = true;
    std::vector<TransferHandle> handles;
    int answered = 0;
    for (std::uint64_t version = 1; version <= 3; ++version) {
        const Sample sample = make_torrent(version);
        handles.push_back(store_->put(sample.key, buffer_of(sample.bytes), sample.digest,
                                      [&](const auto& got) { answered += got.ok() ? 1 : 100; }));
    }
    ASSERT_TRUE(wait([&] { return answered == 3; }));
    EXPECT_EQ(*get(make_torrent(3).key), make_torrent(3).bytes);
    EXPECT_EQ(names().size(), 1U);
    store_.reset();
    open();
    EXPECT_EQ(*get(make_torrent(3).key), make_torrent(3).bytes);
    EXPECT_EQ(*put(make_torrent(3)), PutOutcome::kAlreadyThere);
}

TEST_F(JournaledStoreTest, RemovesWhatIsPendingAndWhatIsBelow) {
    below_.hold_puts = true;
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 1; }));
    below_.finish_put(below_.puts()[0]);  // it fails, and waits
    below_.objects[sample.key] = sample.bytes;
    EXPECT_TRUE(remove(sample.key));
    EXPECT_TRUE(names().empty());
    EXPECT_FALSE(store_->pending_size(sample.key));
    EXPECT_FALSE(below_.objects.contains(sample.key));
    EXPECT_EQ(store_->journal_stats().size_bytes, 0U);
    EXPECT_TRUE(remove(sample.key));
}

TEST_F(JournaledStoreTest, ARemovalWaitsForWhatIsOnItsWay) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 1; }));
    std::optional<Status> removed;
    const auto handle = store_->remove(sample.key, [&](auto got) { removed = got; });
    EXPECT_EQ(put(sample).error().code, ErrorCode::kLimit) << "it is being removed";
    settle();
    EXPECT_FALSE(removed);
    below_.finish_put(below_.puts()[0]);
    ASSERT_TRUE(wait([&] { return removed.has_value(); }));
    EXPECT_TRUE(removed->ok());
    EXPECT_FALSE(below_.objects.contains(sample.key));
    EXPECT_TRUE(names().empty());
    EXPECT_TRUE(put(sample).ok());
}

TEST_F(JournaledStoreTest, ARemovalThatTheDiskRefusesLeavesTheObjectPending) {
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(wait([&] { return store_->journal_stats().failures == 1; }));
    fail(FileOperation::kRemove);
    EXPECT_EQ(remove(sample.key).error().code, ErrorCode::kUnavailable);
    fs_.set_hook(nullptr);
    EXPECT_EQ(*get(sample.key), sample.bytes);
    below_.put_error.reset();
    clock_.advance(seconds(2));
    ASSERT_TRUE(wait_sent(1));
}

TEST_F(JournaledStoreTest, AFileThatCannotBeRemovedKeepsItsRoom) {
    fail(FileOperation::kRemove);
    ASSERT_TRUE(put(make_sample(1)).ok());
    ASSERT_TRUE(wait_sent(1));
    settle();
    EXPECT_EQ(store_->journal_stats().size_bytes, 4096U);
    EXPECT_EQ(store_->journal_stats().objects, 0U);
}

TEST_F(JournaledStoreTest, AVersionThatIsReplacedWhileItIsReadIsNotCalledDamaged) {
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    ASSERT_TRUE(put(make_torrent(1)).ok());
    ASSERT_TRUE(wait([&] { return store_->journal_stats().failures == 1; }));
    // The writer of the newer version has removed the older one's file, and not answered yet.
    std::atomic<bool> removed{false};
    std::atomic<bool> go_on{false};
    fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation == FileOperation::kRemove) removed = true;
        if (operation == FileOperation::kSyncDirectory && removed) {
            while (!go_on) std::this_thread::yield();
        }
        return std::nullopt;
    });
    const Sample newer = make_torrent(2);
    std::optional<Result<PutOutcome>> outcome;
    const auto handle = store_->put(newer.key, buffer_of(newer.bytes), newer.digest,
                                    [&](auto got) { outcome = std::move(got); });
    ASSERT_TRUE(wait([&] { return removed.load(); }));
    ASSERT_TRUE(wait([&] {
        clock_.advance(std::chrono::milliseconds(20));
        return store_->journal_stats().objects == 0;
    }));
    go_on = true;
    ASSERT_TRUE(wait([&] { return outcome.has_value(); }));
    EXPECT_TRUE(outcome->ok());
    EXPECT_EQ(store_->journal_stats().damaged, 0U);
    EXPECT_EQ(store_->journal_stats().size_bytes, 4096U);
    EXPECT_EQ(*get(newer.key), newer.bytes);
}

}  // namespace
}  // namespace kollator::store
