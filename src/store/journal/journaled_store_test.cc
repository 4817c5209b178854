#include <gtest/gtest.h>

#include "tests/support/journaled_store_fixture.h"

namespace kollator::store {
namespace {

TEST_F(JournaledStoreTest, AnswersFromItsJournalAndPassesOnInItsOwnTime) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_EQ(*put(sample), PutOutcome::kStored);
    EXPECT_EQ(names().size(), 1U);
    EXPECT_EQ(store_->pending_size(sample.key), 1000U);
    EXPECT_EQ(*get(sample.key), sample.bytes);
    EXPECT_EQ(*get(sample.key, {.offset = 10, .length = 5}),
              Bytes(sample.bytes.begin() + 10, sample.bytes.begin() + 15));
    EXPECT_EQ(below_.gets_begun, 0U);
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 1; }));
    below_.finish_put(below_.puts()[0]);
    ASSERT_TRUE(wait_sent(1));
    EXPECT_FALSE(store_->pending_size(sample.key));
    EXPECT_EQ(below_.objects.at(sample.key), sample.bytes);
    ASSERT_TRUE(wait([&] { return store_->journal_stats().size_bytes == 0; }));
    EXPECT_TRUE(names().empty());
    EXPECT_EQ(*get(sample.key), sample.bytes);
    EXPECT_EQ(below_.gets_begun, 1U);
}

TEST_F(JournaledStoreTest, WhatIsPendingIsThereAlready) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_EQ(*put(sample), PutOutcome::kStored);
    EXPECT_EQ(*put(sample), PutOutcome::kAlreadyThere);
}

TEST_F(JournaledStoreTest, PutsOfTheSameBytesShareOneFile) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    int answered = 0;
    std::vector<TransferHandle> handles;
    for (int i = 0; i < 4; ++i) {
        handles.push_back(store_->put(sample.key, buffer_of(sample.bytes), sample.digest,
                                      [&](const auto& got) { answered += got.ok() ? 1 : 100; }));
    }
    handles[2].reset();  // nobody waits for this one any more
    ASSERT_TRUE(wait([&] { return answered == 3; }));
    EXPECT_EQ(names().size(), 1U);
    EXPECT_EQ(store_->journal_stats().journaled, 1U);
}

TEST_F(JournaledStoreTest, GoesOnAfterARestartInTheSameOrder) {
    below_.hold_puts = true;
    std::vector<Sample> samples;
    for (std::uint64_t i = 0; i < 20; ++i) {
        samples.push_back(make_sample(i));
        ASSERT_TRUE(put(samples.back()).ok());
    }
    clock_.advance(seconds(90));
    below_.puts().clear();
    below_.hold_puts = false;
    options_.backlog.max_sending = 1;
    open();
    EXPECT_EQ(store_->journal_stats().objects, 20U);
    EXPECT_EQ(*get(samples[19].key), samples[19].bytes);
    ASSERT_TRUE(wait_sent(20));
    ASSERT_EQ(below_.puts().size(), 20U);
    for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(below_.puts()[i]->key, samples[i].key);
    ASSERT_TRUE(wait([&] { return names().empty(); }));
}

TEST_F(JournaledStoreTest, WaitsWhileTheStoreIsAwayAndNeverGivesUp) {
    for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kInvalid,
                                 ErrorCode::kLimit, ErrorCode::kCorrupt}) {
        const std::uint64_t sent = store_->journal_stats().sent;
        below_.put_error = make_error(code, "out of order");
        const Sample sample = make_sample(100 + static_cast<std::uint64_t>(code));
        ASSERT_TRUE(put(sample).ok());
        for (int i = 0; i < 5; ++i) {
            const std::uint64_t failures = store_->journal_stats().failures;
            clock_.advance(seconds(61));  // past any pause
            ASSERT_TRUE(wait([&] { return store_->journal_stats().failures > failures; }));
        }
        EXPECT_EQ(store_->journal_stats().objects, 1U);
        EXPECT_NE(store_->journal_stats().send_error.find("out of order"), std::string::npos);
        EXPECT_EQ(*get(sample.key), sample.bytes);
        below_.put_error.reset();
        clock_.advance(seconds(120));
        ASSERT_TRUE(wait_sent(sent + 1));
        EXPECT_TRUE(store_->journal_stats().send_error.empty());
    }
}

TEST_F(JournaledStoreTest, AFullBacklogRefusesUntilSomethingIsSent) {
    options_.backlog.max_bytes = 2 * 4096;
    open();
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(put(make_sample(2)).ok());
    EXPECT_EQ(put(make_sample(3)).error().code, ErrorCode::kLimit);
    EXPECT_EQ(store_->journal_stats().refused, 1U);
    EXPECT_EQ(*put(sample), PutOutcome::kAlreadyThere) << "takes no more room";
    ASSERT_TRUE(wait([&] { return below_.puts_begun == 2; }));
    below_.finish_put(below_.puts()[0]);
    ASSERT_TRUE(wait([&] { return store_->journal_stats().size_bytes == 4096; }));
    EXPECT_TRUE(put(make_sample(3)).ok());
}

TEST_F(JournaledStoreTest, WhatTheDiskDidNotTakeIsNotAcknowledged) {
    const Sample sample = make_sample(1);
    for (const auto operation :
         {FileOperation::kCreate, FileOperation::kWrite, FileOperation::kSyncData,
          FileOperation::kRename, FileOperation::kSyncDirectory}) {
        fail(operation);
        EXPECT_EQ(put(sample).error().code, ErrorCode::kUnavailable);
        fail(operation, ErrorCode::kLimit);
        EXPECT_EQ(put(sample).error().code, ErrorCode::kLimit) << "the disk is full";
        EXPECT_FALSE(store_->journal_stats().write_error.empty());
        fs_.set_hook(nullptr);
    }
    EXPECT_FALSE(store_->pending_size(sample.key));
    EXPECT_EQ(store_->journal_stats().size_bytes, 0U);
    EXPECT_TRUE(names().empty());
    EXPECT_EQ(below_.puts_begun, 0U);
    EXPECT_TRUE(put(sample).ok());
    EXPECT_TRUE(store_->journal_stats().write_error.empty());
}

TEST_F(JournaledStoreTest, ADamagedFileIsCountedAndNeverSent) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    const Sample good = make_sample(2);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(put(good).ok());
    settle();
    store_.reset();
    below_.hold_puts = false;
    std::fstream file(root_ / names()[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(500).put('\0').put('\0').put('\0');
    file.close();
    open();
    ASSERT_TRUE(wait_sent(1));
    ASSERT_TRUE(wait([&] { return names().empty(); }));
    EXPECT_EQ(store_->journal_stats().damaged, 1U);
    EXPECT_FALSE(below_.objects.contains(sample.key));
    EXPECT_TRUE(below_.objects.contains(good.key));
    EXPECT_EQ(get(sample.key).error().code, ErrorCode::kNotFound);
}

TEST_F(JournaledStoreTest, ReadsBelowWhatWasSentMeanwhile) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    below_.objects[sample.key] = sample.bytes;
    std::filesystem::remove(root_ / names()[0]);
    EXPECT_EQ(*get(sample.key), sample.bytes);
    EXPECT_EQ(below_.gets_begun, 1U);
}

TEST_F(JournaledStoreTest, AReadThatCannotOpenFilesFailsAndKeepsTheObject) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    settle();
    fail(FileOperation::kOpen, ErrorCode::kLimit);
    EXPECT_EQ(get(sample.key).error().code, ErrorCode::kLimit);
    fs_.set_hook(nullptr);
    EXPECT_EQ(*get(sample.key), sample.bytes);
    // A handle that goes ends its callback.
    auto handle = store_->get(sample.key, {}, nullptr, [](const auto&) { FAIL(); });
    handle.reset();
    settle();
}

TEST_F(JournaledStoreTest, AFileThatCannotBeReadNowIsSentLater) {
    fail(FileOperation::kOpen, ErrorCode::kLimit);
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    ASSERT_TRUE(wait([&] { return store_->journal_stats().failures == 1; }));
    EXPECT_EQ(below_.puts_begun, 0U);
    fs_.set_hook(nullptr);
    clock_.advance(seconds(2));
    ASSERT_TRUE(wait_sent(1));
}

TEST_F(JournaledStoreTest, DrainsWhatItCan) {
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(put(make_sample(i)).ok());
    ASSERT_TRUE(wait([&] { return store_->journal_stats().failures > 0; }));
    below_.put_error.reset();
    bool drained = false;
    store_->drain(kPatience, [&] { drained = true; });  // no pause is waited for
    EXPECT_FALSE(drained);
    ASSERT_TRUE(wait([&] { return drained; }));
    EXPECT_EQ(store_->journal_stats().objects, 0U);
    EXPECT_TRUE(names().empty());
}

TEST_F(JournaledStoreTest, ADrainEndsInTimeAndTheRestIsSentAfterTheStart) {
    below_.hold_puts = true;
    for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(put(make_sample(i)).ok());
    bool drained = false;
    store_->drain(std::chrono::milliseconds(20), [&] { drained = true; });
    ASSERT_TRUE(wait([&] { return drained; }));
    EXPECT_EQ(names().size(), 5U);
    below_.hold_puts = false;
    open();
    ASSERT_TRUE(wait_sent(5));
    drained = false;
    store_->drain(kPatience, [&] { drained = true; });
    EXPECT_TRUE(wait([&] { return drained; }));
}

TEST_F(JournaledStoreTest, WhatIsWithheldStaysUntilItIsNot) {
    const Sample denied = make_sample(1);
    const Sample other = make_sample(2);
    const auto is_denied = [&](const ObjectKey& key) { return key == denied.key; };
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    ASSERT_TRUE(put(denied).ok());
    ASSERT_TRUE(put(other).ok());
    open();
    store_->withhold(is_denied);  // as it is being loaded to be sent
    below_.put_error.reset();
    ASSERT_TRUE(wait_sent(1));
    EXPECT_TRUE(below_.objects.contains(other.key));
    bool drained = false;
    store_->drain(kPatience, [&] { drained = true; });
    ASSERT_TRUE(wait([&] { return drained; })) << "what is withheld is not waited for";
    EXPECT_FALSE(below_.objects.contains(denied.key));
    EXPECT_EQ(store_->journal_stats().withheld, 1U);

    open();
    store_->withhold(is_denied);
    settle();
    EXPECT_FALSE(below_.objects.contains(denied.key));
    store_->withhold(nullptr);
    ASSERT_TRUE(wait_sent(1));
    EXPECT_EQ(below_.objects.at(denied.key), denied.bytes);
}

TEST_F(JournaledStoreTest, WritingThroughPassesOnOnlyWhatWasLeft) {
    below_.put_error = make_error(ErrorCode::kUnavailable, "away");
    const Sample left = make_sample(1);
    ASSERT_TRUE(put(left).ok());
    options_.accepts = false;
    open();
    EXPECT_EQ(put(make_sample(2)).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(names().size(), 1U);
    EXPECT_EQ(*put(left), PutOutcome::kAlreadyThere);
    below_.put_error.reset();
    clock_.advance(seconds(2));
    ASSERT_TRUE(wait_sent(1));
    EXPECT_EQ(*put(make_sample(2)), PutOutcome::kStored);
    EXPECT_EQ(store_->journal_stats().journaled, 0U);
    EXPECT_EQ(below_.objects.size(), 2U);
}

TEST_F(JournaledStoreTest, TellsCountBytesAndAge) {
    below_.hold_puts = true;
    ASSERT_TRUE(put(make_sample(1, 5000)).ok());
    clock_.advance(seconds(30));
    ASSERT_TRUE(put(make_sample(2)).ok());
    clock_.advance(seconds(12));
    const JournalStats stats = store_->journal_stats();
    EXPECT_EQ(stats.objects, 2U);
    EXPECT_EQ(stats.size_bytes, 3 * 4096U);
    EXPECT_EQ(stats.oldest_age, seconds(42));
    store_->refresh_metrics();
    const std::string text = metrics_.to_text();
    EXPECT_NE(text.find("kollator_journal_pending_objects 2"), std::string::npos);
    EXPECT_NE(text.find("kollator_journal_pending_bytes 12288"), std::string::npos);
    EXPECT_NE(text.find("kollator_journal_oldest_age_seconds 42"), std::string::npos);
    EXPECT_EQ(store_->list_pending(ObjectKind::kChunk, {}, 10).size(), 2U);
    std::optional<std::uint64_t> size;
    const auto handle =
        store_->stat(make_sample(2).key, [&](const auto& got) { size = got.value(); });
    ASSERT_TRUE(wait([&] { return size.has_value(); }));
    EXPECT_EQ(*size, 1000U);
    EXPECT_EQ(below_.stats_begun, 0U);
}

TEST_F(JournaledStoreTest, CallbacksStopWithTheStore) {
    below_.hold_puts = true;
    const Sample sample = make_sample(1);
    ASSERT_TRUE(put(sample).ok());
    std::vector<TransferHandle> handles;
    handles.push_back(store_->put(make_sample(2).key, buffer_of(make_sample(2).bytes),
                                  make_sample(2).digest, [](const auto&) { FAIL(); }));
    handles.push_back(store_->put(sample.key, buffer_of(sample.bytes), sample.digest,
                                  [](const auto&) { FAIL(); }));
    handles.push_back(store_->get(sample.key, {}, nullptr, [](const auto&) { FAIL(); }));
    handles.push_back(store_->remove(sample.key, [](const auto&) { FAIL(); }));
    store_.reset();
    settle();
}

TEST_F(JournaledStoreTest, AFolderThatCannotBeReadIsNotPassedOver) {
    store_.reset();
    fail(FileOperation::kList);
    const auto opened =
        JournaledStore::open(loop_, jobs_, fs_, clock_, random_, below_, options_, metrics_);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().detail.find("the journal cannot be used"), std::string::npos);
}

}  // namespace
}  // namespace kollator::store
