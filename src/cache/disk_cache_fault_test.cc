#include <gtest/gtest.h>

#include <fstream>

#include "cache/disk_cache.h"
#include "tests/support/disk_cache_fixture.h"

namespace kollator::cache {
namespace {

using testing_support::FileOperation;

class DiskCacheFaultTest : public DiskCacheTest {};

TEST_F(DiskCacheFaultTest, SurvivesBeingKilledWithWhateverSnapshot) {
    open();
    std::vector<TestChunk> chunks;
    for (std::uint64_t i = 0; i < 5; ++i) {
        chunks.push_back(make_chunk(1000 + i, i));
        ASSERT_TRUE(insert(chunks.back()).ok());
    }
    close();
    const auto snapshot = folder_.path() / "cache" / kSnapshotName;
    const Bytes good = *read_file(fs_, snapshot, 10'000);
    std::ofstream(folder_.path() / "cache/tmp/left-over") << "half a chunk";
    for (const std::size_t keep : {good.size(), good.size() - 1, good.size() / 2, std::size_t{0}}) {
        std::ofstream(snapshot, std::ios::trunc).write(as_text(good).data(), keep);
        open();
        for (const TestChunk& chunk : chunks) EXPECT_TRUE(reads_whole(chunk)) << keep;
        EXPECT_FALSE(std::filesystem::exists(folder_.path() / "cache/tmp/left-over"));
    }
    std::ofstream(snapshot, std::ios::trunc) << "garbage of quite another kind, and long enough";
    open();
    for (const TestChunk& chunk : chunks) EXPECT_TRUE(reads_whole(chunk));
    std::filesystem::remove(snapshot);
    open();
    EXPECT_EQ(cache_->stats().chunks, 5U);
}

TEST_F(DiskCacheFaultTest, NeverTrustsForeignFiles) {
    open();
    const TestChunk chunk = make_chunk(1000, 1);
    ASSERT_TRUE(insert(chunk).ok());
    close();
    const auto root = folder_.path() / "cache";
    const std::string name = chunk.id.hex();
    const std::string prefix = name.substr(0, 2) == "00" ? "01" : "00";
    std::filesystem::create_directories(root / prefix);
    std::filesystem::create_directories(root / "zz");
    std::filesystem::copy_file(file_of(chunk), root / prefix / name);  // the wrong folder
    std::filesystem::copy_file(file_of(chunk), root / prefix / "notes.txt");
    std::filesystem::create_symlink(file_of(chunk), root / prefix / (prefix + name.substr(2)));
    std::ofstream(root / name.substr(0, 2) / (name.substr(0, 63) + (name[63] == '0' ? "1" : "0")))
        << "of no chunk's size";
    open();
    EXPECT_EQ(cache_->stats().chunks, 1U);
    EXPECT_TRUE(reads_whole(chunk));
    EXPECT_FALSE(std::filesystem::exists(root / prefix / "notes.txt"));
    EXPECT_TRUE(std::filesystem::exists(root / kAsideFolder / "notes.txt"));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root / kAsideFolder), {}), 3);
    EXPECT_EQ(cache_->stats().put_aside, 3U);
    open();
    EXPECT_EQ(cache_->stats().put_aside, 0U) << "once";
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root / name.substr(0, 2)), {}), 1);
}

TEST_F(DiskCacheFaultTest, FindsEveryDamagedFileAndGivesNoWrongByte) {
    open(100'000'000);
    SeededRandom random(11);
    std::vector<TestChunk> chunks;
    for (std::uint64_t i = 0; i < 200; ++i) {
        chunks.push_back(make_chunk(1 + random.u32() % 150'000, i));
        ASSERT_TRUE(insert(chunks.back()).ok());
    }
    close();
    open(100'000'000);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        const auto path = file_of(chunks[i]);
        const std::uint64_t size = std::filesystem::file_size(path);
        const std::uint64_t at = random.u64() % size;
        if (i % 4 == 0) {
            std::filesystem::resize_file(path, at);
        } else if (i % 4 == 1) {
            std::filesystem::resize_file(path, at);
            std::filesystem::resize_file(path, size);  // zeros, as after a power cut
            if (at + 8 >= size) std::filesystem::resize_file(path, size - 1);
        } else {
            std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
            file.seekg(static_cast<std::streamoff>(at));
            const int old = file.get();
            file.seekp(static_cast<std::streamoff>(at));
            file.put(static_cast<char>(old ^ (1 << (i % 8))));
        }
    }
    for (const TestChunk& chunk : chunks) {
        EXPECT_FALSE(reads_whole(chunk));
        EXPECT_FALSE(cache_->size_of(chunk.id));
        ASSERT_TRUE(insert(chunk).ok());  // healed
        EXPECT_TRUE(reads_whole(chunk));
    }
    EXPECT_EQ(cache_->stats().corruptions, 200U);
    EXPECT_EQ(bytes_in(folder_.path() / "cache"), cache_->stats().size_bytes);
}

TEST_F(DiskCacheFaultTest, DamageBehindAnOpenFileIsFoundToo) {
    open();
    const TestChunk chunk = make_chunk(100'000, 1);
    ASSERT_TRUE(insert(chunk).ok());
    const auto cached = cache_->find(chunk.id);
    ASSERT_TRUE(read(cached, 0, 100'000).ok());
    ASSERT_TRUE((*fs_.open_write(file_of(chunk), 0644))->write_at(80'000, as_bytes("wrong")).ok());
    EXPECT_TRUE(read(cached, 0, 65'536).ok());
    const auto damaged = read(cached, 65'536, 10);
    ASSERT_FALSE(damaged.ok());
    EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(cache_->find(chunk.id), nullptr);
}

TEST_F(DiskCacheFaultTest, AFolderThatCannotBeUsedIsBypassed) {
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kCreate) return std::nullopt;
        return make_error(ErrorCode::kUnavailable, "Read-only file system");
    });
    open();
    const TestChunk chunk = make_chunk(100, 1);
    EXPECT_EQ(insert(chunk).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(cache_->find(chunk.id), nullptr);
    EXPECT_TRUE(cache_->stats().bypassed);
    EXPECT_EQ(cache_->stats().bypass_reason, "Read-only file system");
    close();
}

TEST_F(DiskCacheFaultTest, GivesWayToADiskThatIsFull) {
    open(10 * file_bytes_of(1000));
    std::vector<TestChunk> chunks;
    for (std::uint64_t i = 0; i < 4; ++i) chunks.push_back(make_chunk(1000, i));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(insert(chunks[i]).ok());
    // Three files fit; the fourth write fails in its middle until one is gone.
    fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation == FileOperation::kWrite &&
            bytes_in(folder_.path() / "cache") >= 3 * file_bytes_of(1000)) {
            return make_error(ErrorCode::kLimit, "No space left on device");
        }
        return std::nullopt;
    });
    EXPECT_TRUE(insert(chunks[3]).ok());
    EXPECT_TRUE(reads_whole(chunks[3]));
    EXPECT_FALSE(cache_->size_of(chunks[0].id));
    EXPECT_EQ(bytes_in(folder_.path() / "cache"), cache_->stats().size_bytes);
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kWrite) return std::nullopt;
        return make_error(ErrorCode::kLimit, "No space left on device");
    });
    EXPECT_EQ(insert(make_chunk(1000, 9)).error().code, ErrorCode::kLimit);
    fs_.set_hook(nullptr);
    EXPECT_EQ(bytes_in(folder_.path() / "cache"), cache_->stats().size_bytes);
    EXPECT_TRUE(reads_whole(chunks[3]));
}

TEST_F(DiskCacheFaultTest, PausesAfterWritesThatFailAndThenTriesAgain) {
    open();
    const TestChunk kept = make_chunk(100, 100);
    ASSERT_TRUE(insert(kept).ok());
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kRename) return std::nullopt;
        return make_error(ErrorCode::kUnavailable, "Input/output error");
    });
    for (std::uint64_t i = 0; i < 4; ++i) {
        EXPECT_EQ(insert(make_chunk(100, i)).error().code, ErrorCode::kUnavailable);
    }
    fs_.set_hook(nullptr);
    EXPECT_TRUE(cache_->stats().bypassed);
    EXPECT_EQ(insert(make_chunk(100, 5)).error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(reads_whole(kept));
    clock_.advance(std::chrono::minutes(1));
    EXPECT_FALSE(cache_->stats().bypassed);
    EXPECT_TRUE(insert(make_chunk(100, 5)).ok());
}

TEST_F(DiskCacheFaultTest, CountsFilesThatCannotBeRemoved) {
    open(2 * file_bytes_of(1000));
    ASSERT_TRUE(insert(make_chunk(1000, 1)).ok());
    ASSERT_TRUE(insert(make_chunk(1000, 2)).ok());
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kRemove) return std::nullopt;
        return make_error(ErrorCode::kUnavailable, "Input/output error");
    });
    EXPECT_FALSE(insert(make_chunk(1000, 3)).ok());
    fs_.set_hook(nullptr);
    EXPECT_EQ(cache_->stats().size_bytes, 2 * file_bytes_of(1000));
    EXPECT_EQ(bytes_in(folder_.path() / "cache"), 2 * file_bytes_of(1000));
}

}  // namespace
}  // namespace kollator::cache
