#include "cache/chunk_file.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "cache/snapshot.h"
#include "crypto/hash.h"
#include "tests/support/temp_folder.h"

namespace kollator::cache {
namespace {

using testing_support::TempFolder;

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    return bytes;
}

TEST(ChunkFile, ItsSizeTellsTheChunksSize) {
    for (const std::uint32_t size :
         {1U, 2U, 65535U, 65536U, 65537U, 131072U, 5U << 20, 64U << 20}) {
        EXPECT_EQ(chunk_bytes_of(file_bytes_of(size)), size);
    }
    for (std::uint32_t size = 1; size < 400'000; size += 997) {
        EXPECT_EQ(chunk_bytes_of(file_bytes_of(size)), size);
    }
    for (const std::uint64_t size :
         std::vector<std::uint64_t>{0, 1, 64, 72, file_bytes_of(64U << 20) + 1}) {
        EXPECT_FALSE(chunk_bytes_of(size)) << size;
    }
    // Between a whole last block and the next block's first byte lie sizes that no chunk has.
    for (std::uint64_t gap = 1; gap <= 8; ++gap) {
        EXPECT_FALSE(chunk_bytes_of(file_bytes_of(65536) + gap)) << gap;
    }
}

class ChunkFileTest : public testing::Test {
 protected:
    void write(std::size_t size) {
        chunk_ = random_bytes(size, size);
        id_ = ChunkId(crypto::sha256(chunk_));
        path_ = folder_.path() / chunk_path(id_);
        ASSERT_TRUE(write_chunk_file(fs_, folder_.path() / "tmp", path_, id_, chunk_).ok());
    }
    Result<std::shared_ptr<const ChunkFile>> open() {
        return ChunkFile::open(fs_, path_, id_, static_cast<std::uint32_t>(chunk_.size()));
    }
    /// Every block is read; true where all bytes came and none is wrong.
    bool reads_whole() {
        const auto file = open();
        if (!file) return false;
        const auto all =
            (*file)->read(0, static_cast<std::uint32_t>(chunk_.size()), ReadMode::kMayBlock);
        if (!all) return false;
        EXPECT_TRUE(std::equal(chunk_.begin(), chunk_.end(), (*all)->bytes.begin()));
        return true;
    }

    FileSystem& fs_ = posix_file_system();
    TempFolder folder_;
    Bytes chunk_;
    ChunkId id_;
    std::filesystem::path path_;
};

TEST_F(ChunkFileTest, GivesBackEveryRange) {
    write(200'000);
    EXPECT_EQ(fs_.info(path_)->size_bytes, file_bytes_of(200'000));
    const auto file = open();
    ASSERT_TRUE(file.ok()) << file.error().detail;
    SeededRandom random(3);
    for (int i = 0; i < 200; ++i) {
        const std::uint32_t offset = random.u32() % 200'000;
        const std::uint32_t length = 1 + random.u32() % (200'000 - offset);
        const auto slice = (*file)->read(offset, length, ReadMode::kMayBlock);
        ASSERT_TRUE(slice.ok() && *slice);
        ASSERT_EQ((*slice)->bytes.size(), length);
        ASSERT_TRUE(
            std::equal((*slice)->bytes.begin(), (*slice)->bytes.end(), chunk_.begin() + offset));
    }
}

TEST_F(ChunkFileTest, FindsEveryTruncationAndEveryChangedByte) {
    write(100);
    const Bytes good = *read_file(fs_, path_, 1000);
    for (std::size_t size = 0; size < good.size(); ++size) {
        std::filesystem::resize_file(path_, size);
        EXPECT_FALSE(reads_whole()) << size;
        ASSERT_TRUE((*fs_.open_write(path_))->write_at(0, good).ok());
    }
    EXPECT_TRUE(reads_whole());
    for (std::size_t at = 0; at < good.size(); ++at) {
        const std::uint8_t flipped = good[at] ^ 0x10;
        ASSERT_TRUE((*fs_.open_write(path_))->write_at(at, ByteSpan(&flipped, 1)).ok());
        EXPECT_FALSE(reads_whole()) << at;
        ASSERT_TRUE((*fs_.open_write(path_))->write_at(at, ByteSpan(&good[at], 1)).ok());
    }
}

TEST_F(ChunkFileTest, FindsAFileUnderAnothersName) {
    write(100);
    const auto other = ChunkId(crypto::sha256(as_bytes("other")));
    const auto file = ChunkFile::open(fs_, path_, other, 100);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, ErrorCode::kCorrupt);
}

TEST(Snapshot, RoundTripsAndRefusesEveryOtherForm) {
    std::vector<SnapshotItem> items;
    for (std::uint8_t i = 0; i < 3; ++i) {
        items.push_back({ChunkId(crypto::sha256(ByteSpan(&i, 1))), i * 7ULL, 1000 + i});
    }
    const Bytes bytes = encode_snapshot(items);
    ASSERT_TRUE(decode_snapshot(bytes).ok());
    EXPECT_EQ(*decode_snapshot(bytes), items);
    EXPECT_TRUE(decode_snapshot(encode_snapshot({})).ok());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(decode_snapshot(ByteSpan(bytes).first(size)).ok()) << size;
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        Bytes changed = bytes;
        changed[at] ^= 1;
        EXPECT_FALSE(decode_snapshot(changed).ok()) << at;
    }
}

}  // namespace
}  // namespace kollator::cache
