#include "store/object_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include "base/random.h"
#include "crypto/hash.h"

namespace kollator::store {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
    TemporaryFolder() {
        std::string pattern = fs::temp_directory_path() / "kollator-store-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }

 private:
    fs::path path_;
};

/// The real file system, of which one step fails: the `fail_at`-th call that changes or syncs
/// something, counted from 1.
class FaultyFileSystem final : public FileSystem {
 public:
    int fail_at = 0;
    int steps = 0;
    Error error{ErrorCode::kUnavailable, "broken"};
    /// A write that fails leaves this many bytes behind.
    std::size_t torn_bytes = 0;

    Result<std::unique_ptr<File>> open_read(const fs::path& path) override {
        return real_.open_read(path);
    }
    Result<std::unique_ptr<File>> open_write(const fs::path& path, std::uint32_t mode) override {
        return real_.open_write(path, mode);
    }
    Result<std::unique_ptr<File>> create(const fs::path& path, std::uint32_t mode) override {
        if (fails()) return error;
        auto file = real_.create(path, mode);
        if (!file) return file.error();
        return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, std::move(*file)));
    }
    Status rename(const fs::path& from, const fs::path& to) override {
        return fails() ? Status(error) : real_.rename(from, to);
    }
    Status remove(const fs::path& path) override { return real_.remove(path); }
    Status make_directories(const fs::path& path) override {
        return fails() ? Status(error) : real_.make_directories(path);
    }
    Status sync_directory(const fs::path& path) override {
        return fails() ? Status(error) : real_.sync_directory(path);
    }
    Result<FileInfo> info(const fs::path& path) override { return real_.info(path); }
    Status list(const fs::path& path,
                const std::function<bool(const std::string& name)>& each) override {
        return real_.list(path, each);
    }
    Result<SpaceInfo> space(const fs::path& path) override { return real_.space(path); }

 private:
    class FaultyFile final : public File {
     public:
        FaultyFile(FaultyFileSystem& owner, std::unique_ptr<File> real)
            : owner_(owner), real_(std::move(real)) {}
        Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) override {
            return real_->read_at(offset, out);
        }
        Result<std::optional<std::size_t>> read_at_nowait(std::uint64_t offset,
                                                          MutableByteSpan out) override {
            return real_->read_at_nowait(offset, out);
        }
        Status write_at(std::uint64_t offset, ByteSpan bytes) override {
            if (!owner_.fails()) return real_->write_at(offset, bytes);
            EXPECT_TRUE(real_->write_at(offset, bytes.first(owner_.torn_bytes)).ok());
            return owner_.error;
        }
        Status sync_data() override {
            return owner_.fails() ? Status(owner_.error) : real_->sync_data();
        }
        Result<std::uint64_t> size() const override { return real_->size(); }
        void will_need(std::uint64_t offset, std::uint64_t length) override {
            real_->will_need(offset, length);
        }

     private:
        FaultyFileSystem& owner_;
        std::unique_ptr<File> real_;
    };

    bool fails() { return ++steps == fail_at; }

    FileSystem& real_ = posix_file_system();
};

Bytes content(std::uint64_t seed, std::size_t size_bytes) {
    SeededRandom random(seed);
    Bytes bytes(size_bytes);
    random.fill(bytes);
    return bytes;
}

ObjectKey key_of(ByteSpan bytes) {
    return ObjectKey(ChunkId(crypto::sha256(bytes)));
}

Result<SharedBuffer> get(ObjectFiles& files, const ObjectKey& key, GetOptions options = {}) {
    return files.get(key, options,
                     [](const SharedBuffer&, std::size_t, std::uint64_t) { return true; });
}

Bytes bytes_of(const SharedBuffer& buffer) {
    return Bytes(buffer->span().begin(), buffer->span().end());
}

std::size_t files_in(const fs::path& folder) {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder)) count += entry.is_regular_file();
    return count;
}

class ObjectFilesTest : public testing::Test {
 protected:
    TemporaryFolder folder_;
    FaultyFileSystem disk_;
    ObjectFiles files_{disk_, folder_.path() / "objects"};
};

TEST_F(ObjectFilesTest, GivesBackWhatWasPutUnderAFannedOutName) {
    const Bytes bytes = content(1, 700'000);
    const ObjectKey key = key_of(bytes);
    ASSERT_EQ(files_.put(key, bytes, "a").value(), PutOutcome::kStored);
    EXPECT_EQ(bytes_of(get(files_, key).value()), bytes);
    EXPECT_EQ(files_.stat(key).value(), bytes.size());
    EXPECT_TRUE(fs::exists(folder_.path() / "objects/chunks" / key.hex().substr(0, 2) / key.hex()));
    EXPECT_EQ(files_in(folder_.path() / "objects/tmp"), 0U);
    EXPECT_EQ(files_.put(key, bytes, "b").value(), PutOutcome::kAlreadyThere);
}

TEST_F(ObjectFilesTest, KeepsChunksAndTorrentsApart) {
    const Bytes bytes = content(2, 10);
    const ObjectKey torrent{MetadataId(crypto::sha256(bytes))};
    ASSERT_TRUE(files_.put(torrent, bytes, "a").ok());
    EXPECT_EQ(get(files_, key_of(bytes)).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(bytes_of(get(files_, torrent).value()), bytes);
}

TEST_F(ObjectFilesTest, TheLastMetadataOfANameStandsThoughItsSizeIsTheSame) {
    const ObjectKey torrent{MetadataId(crypto::sha256(content(1, 10)))};
    ASSERT_EQ(files_.put(torrent, content(2, 10), "a").value(), PutOutcome::kStored);
    ASSERT_EQ(files_.put(torrent, content(3, 10), "b").value(), PutOutcome::kStored);
    EXPECT_EQ(bytes_of(get(files_, torrent).value()), content(3, 10));
}

TEST_F(ObjectFilesTest, ReadsRangesAndRefusesWhatIsOutside) {
    const Bytes bytes = content(3, 1000);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    GetOptions range;
    range.offset = 990;
    range.length = 5;
    EXPECT_EQ(bytes_of(get(files_, key, range).value()), Bytes(bytes.end() - 10, bytes.end() - 5));
    range.length = 500;
    EXPECT_EQ(bytes_of(get(files_, key, range).value()), Bytes(bytes.end() - 10, bytes.end()));
    range.offset = 1000;
    EXPECT_EQ(get(files_, key, range).error().code, ErrorCode::kInvalid);
}

TEST_F(ObjectFilesTest, TellsPiecesAsTheyComeAndStopsWhenToldTo) {
    const Bytes bytes = content(4, 600'000);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    std::vector<std::size_t> told;
    const auto result =
        files_.get(key, {}, [&](const SharedBuffer&, std::size_t available, std::uint64_t size) {
            EXPECT_EQ(size, bytes.size());
            told.push_back(available);
            return told.size() < 2;
        });
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(told, (std::vector<std::size_t>{262'144, 524'288}));
}

TEST_F(ObjectFilesTest, HoldsToItsCallersLimits) {
    const Bytes bytes = content(5, 1000);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    GetOptions options;
    options.max_bytes = 999;
    EXPECT_EQ(get(files_, key, options).error().code, ErrorCode::kLimit);
    ByteBudget budget(1500);
    options.max_bytes = 1000;
    options.budget = &budget;
    const auto first = get(files_, key, options);
    EXPECT_TRUE(first.ok());
    EXPECT_EQ(budget.used_bytes(), 1000U);
    EXPECT_EQ(get(files_, key, options).error().code, ErrorCode::kLimit);
}

TEST_F(ObjectFilesTest, ListsInOrderPageByPageWithoutForeignNames) {
    std::vector<ObjectKey> keys;
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
        const Bytes bytes = content(seed, 20);
        keys.push_back(key_of(bytes));
        ASSERT_TRUE(files_.put(keys.back(), bytes, std::to_string(seed)).ok());
    }
    std::sort(keys.begin(), keys.end());
    const auto root = folder_.path() / "objects/chunks";
    std::ofstream(root / "README") << "foreign";
    std::ofstream(root / keys[0].hex().substr(0, 2) / "foreign") << "foreign";
    const std::string elsewhere = keys[0].hex().substr(0, 2) == "00" ? "01" : "00";
    fs::create_directories(root / elsewhere);
    std::ofstream(root / elsewhere / keys[0].hex()) << "in another's folder";

    std::vector<ObjectKey> listed;
    std::array<std::uint8_t, 32> after{};
    bool more = true;
    while (more) {
        const auto page = files_.list(ObjectKind::kChunk, after, 50);
        ASSERT_TRUE(page.ok());
        ASSERT_FALSE(page->entries.empty());
        for (const auto& entry : page->entries) {
            EXPECT_EQ(entry.size_bytes, 20U);
            listed.emplace_back(ChunkId(entry.hash));
        }
        after = page->entries.back().hash;
        more = page->more;
    }
    EXPECT_EQ(listed, keys);
    EXPECT_TRUE(files_.list(ObjectKind::kTorrent, {}, 10)->entries.empty());
}

TEST_F(ObjectFilesTest, RemovesAndDoesNotMindWhatIsNotThere) {
    const Bytes bytes = content(6, 10);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    EXPECT_TRUE(files_.remove(key).ok());
    EXPECT_TRUE(files_.remove(key).ok());
    EXPECT_EQ(files_.stat(key).error().code, ErrorCode::kNotFound);
}

TEST_F(ObjectFilesTest, WritesAnObjectAnewWhoseSizeIsWrong) {
    const Bytes bytes = content(7, 100);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    fs::resize_file(folder_.path() / "objects" / "chunks" / key.hex().substr(0, 2) / key.hex(), 50);
    EXPECT_EQ(files_.put(key, bytes, "b").value(), PutOutcome::kStored);
    EXPECT_EQ(bytes_of(get(files_, key).value()), bytes);
}

TEST_F(ObjectFilesTest, AFailureAtAnyStepShowsNothingHalfWrittenAndLaterPutsWork) {
    const Bytes bytes = content(8, 5000);
    const ObjectKey key = key_of(bytes);
    for (const ErrorCode code : {ErrorCode::kLimit, ErrorCode::kUnavailable}) {
        int fail_at = 1;
        for (bool done = false; !done; ++fail_at) {
            ASSERT_LT(fail_at, 100);
            TemporaryFolder folder;
            FaultyFileSystem disk;
            ObjectFiles files(disk, folder.path() / "objects");
            disk.fail_at = fail_at;
            disk.torn_bytes = 1234;
            disk.error = make_error(code, "the disk says no");
            const auto put = files.put(key, bytes, "a");
            done = disk.steps < fail_at;  // no step was left to fail
            EXPECT_EQ(put.ok(), done) << "step " << fail_at;
            if (!put) {
                EXPECT_EQ(put.error().code, code) << "step " << fail_at;
            }
            if (const auto seen = get(files, key); seen) {
                EXPECT_EQ(bytes_of(*seen), bytes) << "step " << fail_at;
            }
            if (fs::exists(folder.path() / "objects/tmp")) {
                EXPECT_EQ(files_in(folder.path() / "objects/tmp"), 0U) << "step " << fail_at;
            }
            disk.fail_at = 0;
            ASSERT_TRUE(files.put(key, bytes, "b").ok()) << "step " << fail_at;
            EXPECT_EQ(bytes_of(get(files, key).value()), bytes);
        }
        EXPECT_GT(fail_at, 12);  // four folders, their parents, the file's four steps
    }
}

TEST_F(ObjectFilesTest, AfterAFailedFolderSyncTheObjectIsWrittenAnewNotTakenForDurable) {
    const Bytes bytes = content(9, 100);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    ASSERT_TRUE(files_.remove(key).ok());
    disk_.steps = 0;
    disk_.fail_at = 5;  // create, write, fdatasync, rename, and here fsync of the folder
    EXPECT_FALSE(files_.put(key, bytes, "b").ok());
    EXPECT_TRUE(get(files_, key).ok());
    EXPECT_EQ(files_.put(key, bytes, "c").value(), PutOutcome::kStored);
}

TEST_F(ObjectFilesTest, CleansOldTemporaryFilesAndLeavesThoseOfALivingWriter) {
    ASSERT_TRUE(files_.prepare().ok());
    const auto tmp = folder_.path() / "objects/tmp";
    std::ofstream(tmp / "young") << "someone writes this now";
    std::ofstream(tmp / "old") << "left by a crash";
    const timespec two_hours_ago[2] = {{::time(nullptr) - 7200, 0}, {::time(nullptr) - 7200, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (tmp / "old").c_str(), two_hours_ago, 0), 0);
    EXPECT_EQ(files_.clean("mark").value(), 1U);
    EXPECT_TRUE(fs::exists(tmp / "young"));
    EXPECT_FALSE(fs::exists(tmp / "old"));
    EXPECT_FALSE(fs::exists(tmp / "mark"));
}

TEST_F(ObjectFilesTest, AVanishedDiskIsUnavailableNotEmpty) {
    const Bytes bytes = content(10, 100);
    const ObjectKey key = key_of(bytes);
    ASSERT_TRUE(files_.put(key, bytes, "a").ok());
    fs::remove_all(folder_.path() / "objects");
    EXPECT_EQ(get(files_, key).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(files_.stat(key).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(files_.list(ObjectKind::kChunk, {}, 10).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(files_.remove(key).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(files_.put(key_of(content(11, 5)), bytes, "b").error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(files_.probe("c").error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(fs::exists(folder_.path() / "objects"));
}

TEST_F(ObjectFilesTest, AProbeLeavesNothingBehindAndTellsAFullDisk) {
    EXPECT_TRUE(files_.probe("a").ok());
    EXPECT_EQ(files_in(folder_.path() / "objects/tmp"), 0U);
    disk_.steps = 0;
    disk_.fail_at = 2;
    disk_.error = make_error(ErrorCode::kLimit, "No space left on device");
    EXPECT_EQ(files_.probe("b").error().code, ErrorCode::kLimit);
    EXPECT_EQ(files_in(folder_.path() / "objects/tmp"), 0U);
}

}  // namespace
}  // namespace kollator::store
