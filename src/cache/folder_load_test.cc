#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>

#include "cache/disk_cache.h"
#include "tests/support/disk_cache_fixture.h"

namespace kollator::cache {
namespace {

using testing_support::FileOperation;

/// A cache that is indexed while it is in use: the job waits for let_go().
class FolderLoadTest : public DiskCacheTest {
 protected:
    ~FolderLoadTest() override { let_go(); }

    void fill(std::size_t count) {
        open(100'000'000);
        for (std::size_t n = 0; n < count; ++n) {
            chunks_.push_back(make_chunk(100 + n % 50, n));
            ASSERT_TRUE(insert(chunks_.back()).ok());
        }
        for (std::size_t n = 0; n < count; n += 3) EXPECT_TRUE(reads_whole(chunks_[n]));
        close();
    }
    void open_held(Duration upkeep_interval = std::chrono::minutes(1)) {
        fs_.set_hook([this](FileOperation operation, const auto&) -> std::optional<Error> {
            if (operation == FileOperation::kList) wait_for_go();
            return std::nullopt;
        });
        CacheOptions options;
        options.path = folder_.path() / "cache";
        options.max_bytes = 100'000'000;
        options.policy = PolicyKind::kLru;
        options.start_wait = std::chrono::milliseconds(1);
        options.upkeep_interval = upkeep_interval;
        cache_ = open_disk_cache(loop_, jobs_, fs_, clock_, options);
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        held_ = false;
        changed_.notify_all();
    }
    bool wait_loaded() {
        return loop_.run_until([&] { return !cache_->stats().loading; }, kPatience);
    }

    std::vector<TestChunk> chunks_;

 private:
    void wait_for_go() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !held_; });
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = true;
};

TEST_F(FolderLoadTest, ServesWhileItIsIndexed) {
    fill(30);
    open_held();
    EXPECT_TRUE(cache_->stats().loading);
    EXPECT_EQ(cache_->find(chunks_[0].id), nullptr) << "a miss, not a fault";
    EXPECT_EQ(insert(make_chunk(100, 99)).error().code, ErrorCode::kUnavailable);
    bool told = false;
    cache_->when_loaded([&] { told = true; });
    let_go();
    EXPECT_TRUE(loop_.run_until([&] { return told; }, kPatience));
    for (const TestChunk& chunk : chunks_) EXPECT_TRUE(reads_whole(chunk));
    EXPECT_TRUE(insert(make_chunk(100, 99)).ok());
    EXPECT_EQ(bytes_in(folder_.path() / "cache"), cache_->stats().size_bytes);
}

TEST_F(FolderLoadTest, WhatIsRemovedMeanwhileDoesNotComeBack) {
    fill(5);
    open_held();
    cache_->remove(chunks_[3].id);
    let_go();
    ASSERT_TRUE(wait_loaded());
    EXPECT_FALSE(cache_->size_of(chunks_[3].id));
    EXPECT_TRUE(reads_whole(chunks_[2]));
    EXPECT_TRUE(
        loop_.run_until([&] { return !std::filesystem::exists(file_of(chunks_[3])); }, kPatience));
}

TEST_F(FolderLoadTest, AClearMeanwhileClearsAll) {
    fill(5);
    open_held();
    cache_->clear(nullptr);
    let_go();
    ASSERT_TRUE(wait_loaded());
    EXPECT_EQ(cache_->stats().chunks, 0U);
    EXPECT_TRUE(
        loop_.run_until([&] { return bytes_in(folder_.path() / "cache") == 0; }, kPatience));
}

TEST_F(FolderLoadTest, AnEndMeanwhileKeepsTheOrderThatWasWritten) {
    fill(6);
    open_held();
    bool closed = false;
    cache_->close([&](const Status& status) { closed = status.ok(); });
    EXPECT_TRUE(loop_.run_until([&] { return closed; }, kPatience));
    let_go();
    ASSERT_TRUE(wait_loaded());
    fs_.set_hook(nullptr);
    open(100'000'000);
    EXPECT_EQ(cache_->uses().most_accessed->hits, 1U);
    EXPECT_EQ(cache_->stats().chunks, 6U);
}

TEST_F(FolderLoadTest, ManyChunksAreTakenInBitByBit) {
    const auto root = folder_.path() / "cache";
    SeededRandom random(1);
    const std::string content(file_bytes_of(1), 'x');
    constexpr std::size_t kCount = 2500;
    for (std::size_t n = 0; n < kCount; ++n) {
        std::array<std::uint8_t, 32> name{};
        random.fill(name);
        name[0] = static_cast<std::uint8_t>(n);
        const auto path = root / chunk_path(ChunkId(name));
        if (n < 256) std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << content;
    }
    open_held();
    let_go();
    std::size_t seen_between = 0;
    ASSERT_TRUE(loop_.run_until(
        [&] {
            const CacheStats stats = cache_->stats();
            if (stats.chunks > 0 && stats.chunks < kCount) ++seen_between;
            return !stats.loading;
        },
        kPatience));
    EXPECT_GE(seen_between, 2U) << "a thousand a turn";
    EXPECT_EQ(cache_->stats().chunks, kCount);
}

TEST_F(FolderLoadTest, AFolderThatComesBackIsUsedAgain) {
    fill(3);
    std::atomic<bool> broken{true};
    fs_.set_hook([&](FileOperation operation, const auto&) -> std::optional<Error> {
        if (!broken || operation != FileOperation::kCreate) return std::nullopt;
        return make_error(ErrorCode::kUnavailable, "Read-only file system");
    });
    CacheOptions options;
    options.path = folder_.path() / "cache";
    options.upkeep_interval = std::chrono::milliseconds(5);
    cache_ = open_disk_cache(loop_, jobs_, fs_, clock_, options);
    EXPECT_TRUE(cache_->stats().bypassed);
    EXPECT_EQ(cache_->find(chunks_[0].id), nullptr);
    broken = false;
    ASSERT_TRUE(loop_.run_until([&] { return !cache_->stats().bypassed; }, kPatience));
    ASSERT_TRUE(wait_loaded());
    for (const TestChunk& chunk : chunks_) EXPECT_TRUE(reads_whole(chunk));
}

TEST_F(FolderLoadTest, PutsAsideABoundedNumberOfFiles) {
    const auto root = folder_.path() / "cache";
    std::filesystem::create_directories(root / "00");
    std::filesystem::create_directories(root / "01");
    for (std::size_t n = 0; n < kMaxAsideFiles; ++n) {
        std::ofstream(root / "00" / ("foreign" + std::to_string(n))) << "x";
        std::ofstream(root / "01" / ("foreign" + std::to_string(n))) << "x";
    }
    open();
    EXPECT_EQ(cache_->stats().put_aside, kMaxAsideFiles);
    const auto count = [&](const char* name) {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(root / name), {}));
    };
    EXPECT_EQ(count(kAsideFolder), kMaxAsideFiles);
    EXPECT_EQ(count("00") + count("01"), kMaxAsideFiles) << "the rest is left alone";
}

TEST_F(FolderLoadTest, TwoFilesOfOneNameAreBothPutAside) {
    const auto root = folder_.path() / "cache";
    for (const char* folder : {"00", "01"}) {
        std::filesystem::create_directories(root / folder);
        std::ofstream(root / folder / "same") << folder;
    }
    open();
    EXPECT_TRUE(std::filesystem::exists(root / kAsideFolder / "same"));
    EXPECT_TRUE(std::filesystem::exists(root / kAsideFolder / "1.same"));
}

TEST_F(FolderLoadTest, AFullDiskIsTold) {
    open();
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kWrite) return std::nullopt;
        return make_error(ErrorCode::kLimit, "No space left on device");
    });
    EXPECT_FALSE(insert(make_chunk(1000, 1)).ok());
    EXPECT_TRUE(cache_->stats().bypassed);
    EXPECT_EQ(cache_->stats().bypass_reason, "No space left on device");
    fs_.set_hook(nullptr);
    EXPECT_TRUE(insert(make_chunk(1000, 1)).ok());
    EXPECT_FALSE(cache_->stats().bypassed);
}

// --- verify() ----------------------------------------------------------------------------------

class VerifyTest : public DiskCacheTest {
 protected:
    Status verify(const ChunkId& id) {
        std::optional<Status> outcome;
        cache_->verify(id, [&](Status status) { outcome = std::move(status); });
        EXPECT_FALSE(outcome);
        EXPECT_TRUE(loop_.run_until([&] { return outcome.has_value(); }, kPatience));
        return *outcome;
    }
};

TEST_F(VerifyTest, AGoodChunkIsGoodAndNoneTheMoreUsed) {
    open(10'000'000);
    const TestChunk chunk = make_chunk(3'000'000, 1);
    ASSERT_TRUE(insert(chunk).ok());
    EXPECT_TRUE(verify(chunk.id).ok());
    EXPECT_EQ(cache_->stats().hits, 0U);
    EXPECT_EQ(verify(make_chunk(10, 2).id).error().code, ErrorCode::kNotFound);
}

TEST_F(VerifyTest, AnyDamageIsFoundAndTheChunkDropped) {
    open(10'000'000);
    const TestChunk chunk = make_chunk(200'000, 1);
    const std::uint64_t file_bytes = file_bytes_of(200'000);
    for (std::uint64_t at = 0; at < file_bytes; at += file_bytes / 7) {
        ASSERT_TRUE(insert(chunk).ok());
        std::fstream file(file_of(chunk), std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(at));
        const int old = file.get();
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(old ^ 4));
        file.close();
        EXPECT_EQ(verify(chunk.id).error().code, ErrorCode::kCorrupt) << at;
        EXPECT_FALSE(cache_->size_of(chunk.id));
    }
    ASSERT_TRUE(insert(chunk).ok());
    std::filesystem::remove(file_of(chunk));
    EXPECT_EQ(verify(chunk.id).error().code, ErrorCode::kCorrupt) << "gone is damaged";
}

/// Block checksums prove what was written; only the SHA-256 proves that it is the chunk.
TEST_F(VerifyTest, WrongBytesUnderRightChecksumsAreFoundByTheirName) {
    const TestChunk chunk = make_chunk(1000, 1);
    const TestChunk other = make_chunk(1000, 2);
    for (const bool replaceable : {false, true}) {
        replaceable_ = replaceable;
        open();
        ASSERT_TRUE(insert(chunk).ok());
        std::filesystem::remove(file_of(chunk));
        ASSERT_TRUE(write_chunk_file(fs_, folder_.path() / "cache/tmp/x", file_of(chunk), chunk.id,
                                     other.bytes->span())
                        .ok());
        EXPECT_EQ(verify(chunk.id).ok(), replaceable);
    }
}

}  // namespace
}  // namespace kollator::cache
