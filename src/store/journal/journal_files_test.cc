#include "store/journal/journal_files.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "base/random.h"
#include "crypto/hash.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::store {
namespace {

using testing_support::FaultyFileSystem;
using testing_support::FileOperation;
using testing_support::TempFolder;

struct Sample {
    Bytes bytes;
    std::array<std::uint8_t, 32> digest{};
    JournalName name;
};

Sample make_sample(std::uint64_t number, std::size_t size = 1000) {
    Sample sample;
    sample.bytes.resize(size);
    SeededRandom(number).fill(sample.bytes);
    sample.digest = crypto::sha256(sample.bytes);
    sample.name = {number, ObjectKey(ChunkId(sample.digest))};
    return sample;
}

class JournalFilesTest : public testing::Test {
 protected:
    Status write(const Sample& sample, const std::optional<JournalName>& replaced = {}) {
        return files_.write(sample.name, sample.bytes, sample.digest, replaced);
    }
    std::size_t file_count() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
            count += entry.is_regular_file() ? 1 : 0;
        }
        return count;
    }
    void fail(FileOperation operation, ErrorCode code = ErrorCode::kUnavailable) {
        fs_.set_hook([operation, code](FileOperation asked, const auto& path) {
            return asked == operation ? std::optional(make_error(code, "fault at " + path.string()))
                                      : std::nullopt;
        });
    }

    TempFolder folder_;
    FaultyFileSystem fs_;
    const std::filesystem::path root_ = folder_.path() / "data" / "journal";
    JournalFiles files_{fs_, root_};
};

TEST(JournalNameTest, IsReadAsItIsWritten) {
    JournalName name{0xabc, ObjectKey(ChunkId(crypto::sha256({})))};
    EXPECT_EQ(name.text(),
              "0000000000000abc-chunks-"
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(JournalName::parse(name.text()), name);
    name.key.kind = ObjectKind::kTorrent;
    EXPECT_EQ(JournalName::parse(name.text()), name);
    const std::string text = name.text();
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(JournalName::parse(text.substr(0, length))) << length;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string other = text;
        other[i] = 'G';
        EXPECT_FALSE(JournalName::parse(other)) << i;
    }
    EXPECT_FALSE(JournalName::parse(text + "0"));
    EXPECT_FALSE(JournalName::parse("0000000000000ABC" + text.substr(16)));
}

TEST_F(JournalFilesTest, KeepsOrderContentAndDigestOverARestart) {
    ASSERT_TRUE(files_.open());
    for (const std::uint64_t number : {3U, 1U, 2U}) ASSERT_TRUE(write(make_sample(number)));
    JournalFiles again(fs_, root_);
    const auto scan = again.open();
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->files.size(), 3U);
    for (std::uint64_t number = 1; number <= 3; ++number) {
        const Sample sample = make_sample(number);
        const JournalFile& file = scan->files[number - 1];
        EXPECT_EQ(file.name, sample.name);
        EXPECT_EQ(file.size_bytes, sample.bytes.size());
        EXPECT_EQ(file.digest, sample.digest);
        EXPECT_GT(file.written_ns, 0);
        const auto loaded = again.load(file.name);
        ASSERT_TRUE(loaded);
        EXPECT_TRUE(std::equal(sample.bytes.begin(), sample.bytes.end(), loaded->body->data(),
                               loaded->body->data() + loaded->body->size()));
        EXPECT_EQ(loaded->digest, sample.digest);
    }
}

TEST_F(JournalFilesTest, SyncsTheFileThenRenamesThenSyncsTheFolder) {
    ASSERT_TRUE(files_.open());
    std::vector<FileOperation> order;
    fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
        order.push_back(operation);
        return std::nullopt;
    });
    ASSERT_TRUE(write(make_sample(1)));
    const std::vector<FileOperation> expected{
        FileOperation::kCreate,   FileOperation::kWrite,  FileOperation::kWrite,
        FileOperation::kSyncData, FileOperation::kRename, FileOperation::kSyncDirectory};
    EXPECT_EQ(order, expected);
}

TEST_F(JournalFilesTest, AFaultAtAnyStepAcknowledgesNothingAndLeavesNothing) {
    ASSERT_TRUE(files_.open());
    const Sample sample = make_sample(1);
    for (const auto operation :
         {FileOperation::kCreate, FileOperation::kWrite, FileOperation::kSyncData,
          FileOperation::kRename, FileOperation::kSyncDirectory}) {
        for (const auto& [given, told] :
             {std::pair(ErrorCode::kUnavailable, ErrorCode::kUnavailable),
              std::pair(ErrorCode::kLimit, ErrorCode::kLimit),
              std::pair(ErrorCode::kNotFound, ErrorCode::kUnavailable)}) {
            fail(operation, given);
            const auto status = write(sample);
            fs_.set_hook(nullptr);
            ASSERT_FALSE(status.ok());
            EXPECT_EQ(status.error().code, told);
            EXPECT_EQ(file_count(), 0U) << static_cast<int>(operation);
            EXPECT_EQ(files_.load(sample.name).error().code, ErrorCode::kNotFound);
        }
    }
    EXPECT_TRUE(write(sample)) << "a copy of its own, synced anew";
}

TEST_F(JournalFilesTest, AFailedFolderSyncFailsAllWhoseNamesItCovered) {
    ASSERT_TRUE(files_.open());
    // While a first fsync runs, two more files are renamed; the fsync that one of them does fails.
    // One of the other's own would succeed, and prove nothing.
    bool covered_both = false;
    for (std::uint64_t number = 1; number < 3000 && !covered_both; number += 3) {
        std::atomic<int> renames{0};
        std::atomic<int> syncs{0};
        fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
            if (operation == FileOperation::kRename) ++renames;
            if (operation != FileOperation::kSyncDirectory) return std::nullopt;
            const int sync = ++syncs;
            while (renames < 3) std::this_thread::yield();
            if (sync != 2) return std::nullopt;
            return make_error(ErrorCode::kUnavailable, "EIO");
        });
        auto first = std::async(std::launch::async, [&] { return write(make_sample(number)); });
        while (syncs == 0) std::this_thread::yield();
        auto second =
            std::async(std::launch::async, [&] { return write(make_sample(number + 1)); });
        auto third = std::async(std::launch::async, [&] { return write(make_sample(number + 2)); });
        EXPECT_TRUE(first.get().ok());
        const int failed = (second.get().ok() ? 0 : 1) + (third.get().ok() ? 0 : 1);
        covered_both = syncs == 2;
        EXPECT_EQ(failed, covered_both ? 2 : 1);
        EXPECT_TRUE(files_.remove(make_sample(number).name));
        for (const auto other : {number + 1, number + 2})
            (void)files_.remove(make_sample(other).name);
    }
    EXPECT_TRUE(covered_both);
    fs_.set_hook(nullptr);
}

TEST_F(JournalFilesTest, WhatWasNeverAcknowledgedGoesAtTheStart) {
    ASSERT_TRUE(files_.open());
    ASSERT_TRUE(write(make_sample(1)));
    std::ofstream(root_ / "tmp" / "half") << "half of a file";
    std::ofstream(root_ / make_sample(2).name.text()) << "short";
    std::ofstream(root_ / "note.txt") << "an operator's";
    JournalFiles again(fs_, root_);
    const auto scan = again.open();
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->files.size(), 1U);
    EXPECT_EQ(scan->damaged_files, 1U);
    EXPECT_EQ(scan->foreign_files, 1U);
    EXPECT_EQ(file_count(), 2U);
}

TEST_F(JournalFilesTest, FindsEveryTornFile) {
    ASSERT_TRUE(files_.open());
    const Sample sample = make_sample(1, 300);
    ASSERT_TRUE(write(sample));
    const auto path = root_ / sample.name.text();
    std::string whole(332, '\0');
    std::ifstream(path, std::ios::binary).read(whole.data(), 332);
    for (std::size_t length = 0; length < 332; ++length) {
        std::ofstream(path, std::ios::binary).write(whole.data(), static_cast<long>(length));
        EXPECT_EQ(files_.load(sample.name).error().code, ErrorCode::kCorrupt) << length;
        std::filesystem::resize_file(path, 332);  // zeros, as a torn write leaves them
        EXPECT_EQ(files_.load(sample.name).error().code, ErrorCode::kCorrupt) << length;
    }
    std::ofstream(path, std::ios::binary) << whole;
    EXPECT_TRUE(files_.load(sample.name));
}

TEST_F(JournalFilesTest, AChunkIsNotTakenUnderAnotherName) {
    ASSERT_TRUE(files_.open());
    Sample sample = make_sample(1);
    sample.name.key.hash[0] ^= 1;
    ASSERT_TRUE(write(sample));
    EXPECT_EQ(files_.load(sample.name).error().code, ErrorCode::kCorrupt);
}

TEST_F(JournalFilesTest, ANewerVersionReplacesTheOlderForGood) {
    ASSERT_TRUE(files_.open());
    Sample older = make_sample(1);
    older.name.key.kind = ObjectKind::kTorrent;
    Sample newer = make_sample(2);
    newer.name.key = older.name.key;
    ASSERT_TRUE(write(older));
    ASSERT_TRUE(write(newer, older.name));
    EXPECT_EQ(file_count(), 1U);
    // As a power cut may leave it, where the removal was not durable.
    ASSERT_TRUE(write(older));
    JournalFiles again(fs_, root_);
    const auto scan = again.open();
    ASSERT_TRUE(scan);
    ASSERT_EQ(scan->files.size(), 1U);
    EXPECT_EQ(scan->files[0].name, newer.name);
    EXPECT_EQ(scan->files[0].digest, newer.digest);
    EXPECT_EQ(file_count(), 1U);
}

TEST_F(JournalFilesTest, AnOlderVersionThatCannotBeRemovedDoesNotUndoTheNewer) {
    ASSERT_TRUE(files_.open());
    const Sample older = make_sample(1);
    Sample newer = make_sample(2);
    newer.name.key.kind = ObjectKind::kTorrent;
    ASSERT_TRUE(write(older));
    fail(FileOperation::kRemove);
    EXPECT_TRUE(write(newer, older.name));
    fs_.set_hook(nullptr);
    EXPECT_TRUE(files_.load(newer.name));
}

TEST_F(JournalFilesTest, ReadsRangesWithinLimitsAndBudgets) {
    ASSERT_TRUE(files_.open());
    const Sample sample = make_sample(1);
    ASSERT_TRUE(write(sample));
    const auto range = files_.read(sample.name, {.offset = 990, .length = 100});
    ASSERT_TRUE(range);
    EXPECT_EQ((*range)->size(), 10U);
    EXPECT_EQ((*range)->data()[9], sample.bytes[999]);
    EXPECT_EQ(files_.read(sample.name, {.offset = 1000}).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(files_.read(sample.name, {.max_bytes = 999}).error().code, ErrorCode::kLimit);
    ByteBudget budget(999);
    EXPECT_EQ(files_.read(sample.name, {.budget = &budget}).error().code, ErrorCode::kLimit);
    EXPECT_EQ(files_.read(make_sample(2).name, {}).error().code, ErrorCode::kNotFound);
}

TEST_F(JournalFilesTest, RemovalsAreSyncedOnlyWhereThereWasOne) {
    ASSERT_TRUE(files_.open());
    ASSERT_TRUE(write(make_sample(1)));
    std::atomic<int> syncs{0};
    fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation == FileOperation::kSyncDirectory) ++syncs;
        return std::nullopt;
    });
    ASSERT_TRUE(files_.sync_removals());
    EXPECT_EQ(syncs, 0);
    ASSERT_TRUE(files_.remove(make_sample(1).name));
    ASSERT_TRUE(files_.remove(make_sample(1).name)) << "gone already";
    ASSERT_TRUE(files_.sync_removals());
    EXPECT_EQ(syncs, 1);
    ASSERT_TRUE(files_.remove(make_sample(1).name));
    fail(FileOperation::kSyncDirectory);
    EXPECT_FALSE(files_.sync_removals());
    fail(FileOperation::kRemove);
    EXPECT_EQ(files_.remove(make_sample(1).name).error().code, ErrorCode::kUnavailable);
}

TEST_F(JournalFilesTest, SaysWhyTheFolderCannotBeUsed) {
    for (const auto operation :
         {FileOperation::kMakeDirectories, FileOperation::kSyncDirectory, FileOperation::kList}) {
        fail(operation);
        EXPECT_EQ(files_.open().error().code, ErrorCode::kUnavailable);
    }
}

}  // namespace
}  // namespace kollator::store
