#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "base/random.h"
#include "cache/chunk_file.h"
#include "cache/disk_cache.h"
#include "cache/folder.h"
#include "crypto/hash.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::cache {
inline constexpr std::chrono::seconds kPatience{30};

struct TestChunk {
    ChunkId id;
    SharedBuffer bytes;
};

inline TestChunk make_chunk(std::size_t size, std::uint64_t seed) {
    auto buffer = std::make_shared<Buffer>(size);
    SeededRandom(seed).fill(buffer->span());
    return {ChunkId(crypto::sha256(std::as_const(*buffer).span())), buffer};
}

/// The file sizes of everything below a folder, but for the order snapshot, and for what goes while
/// it is looked at.
inline std::uint64_t bytes_in(const std::filesystem::path& folder) {
    std::uint64_t sum = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() && entry.path().filename() != kSnapshotName) {
            std::error_code gone;
            const std::uint64_t size = entry.file_size(gone);
            if (!gone) sum += size;
        }
    }
    return sum;
}

class DiskCacheTest : public testing::Test {
 protected:
    bool replaceable_ = false;
    Duration upkeep_interval_ = std::chrono::minutes(1);
    void open(std::uint64_t max_bytes = 1'000'000, Duration max_age = {}) {
        cache_.reset();
        CacheOptions options;
        options.path = folder_.path() / "cache";
        options.max_bytes = max_bytes;
        options.max_age = max_age;
        options.upkeep_interval = upkeep_interval_;
        options.policy = PolicyKind::kLru;  // whose order is plain to see
        options.replaceable = replaceable_;
        cache_ = open_disk_cache(loop_, jobs_, fs_, clock_, options);
    }
    void close() {
        bool closed = false;
        cache_->close([&](const Status& status) { closed = status.ok(); });
        ASSERT_TRUE(loop_.run_until([&] { return closed; }, kPatience));
        cache_.reset();
    }
    Status insert(const TestChunk& chunk) {
        std::optional<Status> outcome;
        cache_->insert(chunk.id, chunk.bytes, [&](Status status) { outcome = std::move(status); });
        EXPECT_FALSE(outcome) << "answered before insert() returned";
        EXPECT_TRUE(loop_.run_until([&] { return outcome.has_value(); }, kPatience));
        return *outcome;
    }
    Result<BufferSlice> read(const std::shared_ptr<CachedChunk>& chunk, std::uint32_t offset,
                             std::uint32_t length) {
        if (auto now = chunk->try_read(offset, length)) return *now;
        std::optional<Result<BufferSlice>> slice;
        chunk->read(offset, length, [&](Result<BufferSlice> got) { slice = std::move(got); });
        EXPECT_FALSE(slice);
        EXPECT_TRUE(loop_.run_until([&] { return slice.has_value(); }, kPatience));
        return *slice;
    }
    /// True where the whole chunk came; a wrong byte fails the test.
    bool reads_whole(const TestChunk& chunk) {
        const auto cached = cache_->find(chunk.id);
        if (!cached) return false;
        EXPECT_EQ(cached->size_bytes(), chunk.bytes->size());
        const auto slice = read(cached, 0, cached->size_bytes());
        if (!slice) return false;
        EXPECT_TRUE(std::equal(slice->bytes.begin(), slice->bytes.end(), chunk.bytes->data()));
        return true;
    }
    void settle() {  // until what was queued for the folder is done
        bool done = false;
        cache_->clear(nullptr);
        cache_->clear([&](std::size_t) { done = true; });
        ASSERT_TRUE(loop_.run_until([&] { return done; }, kPatience));
    }
    std::filesystem::path file_of(const TestChunk& chunk) const {
        return folder_.path() / "cache" / chunk_path(chunk.id);
    }

    testing_support::TempFolder folder_;
    testing_support::FaultyFileSystem fs_;
    ManualClock clock_;
    EventLoop loop_;
    JobPool jobs_{2};
    std::unique_ptr<DiskCache> cache_;
};

}  // namespace kollator::cache
