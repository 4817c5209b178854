// A disk that fills up and is freed again under the cache, over and over, on a file system of 16
// MB: a loop-mounted ext4 where that is allowed, else a tmpfs. Reads go on from the object store.
//
// KOLLATOR_DISK_FULL_CYCLES sets how often (20). Without the right to mount it is skipped.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "tests/support/chunk_service_fixture.h"

namespace kollator::chunk {
namespace {

constexpr std::uint64_t kDiskBytes = 16U << 20;
constexpr std::size_t kChunks = 120;
constexpr std::size_t kChunkBytes = 100'000;
constexpr int kReadsAPhase = 60;
constexpr int kSettles = 4;  // the longest chain of jobs: room is made, then written, twice

/// A small file system of its own, unmounted at the end.
class SmallDisk {
 public:
    explicit SmallDisk(const std::filesystem::path& folder) : path_(folder / "mounted") {
        std::filesystem::create_directories(path_);
        const std::string image = (folder / "image").string();
        std::ofstream(image).close();
        std::filesystem::resize_file(image, kDiskBytes);
        const std::string make = "mkfs.ext4 -q -m 0 -O ^has_journal " + image + " >/dev/null 2>&1";
        const std::string mount = "mount -o loop " + image + " " + path_.string() + " 2>/dev/null";
        if (std::system((make + " && " + mount).c_str()) == 0) {
            kind_ = "loop-mounted ext4";
        } else if (::mount("tmpfs", path_.c_str(), "tmpfs", 0,
                           ("size=" + std::to_string(kDiskBytes)).c_str()) == 0) {
            kind_ = "tmpfs";
        }
    }
    ~SmallDisk() {
        if (!kind_.empty()) (void)::umount2(path_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    const std::string& kind() const { return kind_; }
    const std::filesystem::path& path() const { return path_; }

    /// Somebody else takes all that is free, also what the file system sets aside for blocks that
    /// it has not placed yet.
    void fill() const {
        const std::string block(4096, 'x');
        const int file =
            ::open((path_ / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        for (std::size_t written = 1; written > 0;) {
            written = 0;
            while (::write(file, block.data(), block.size()) > 0) ++written;
            (void)::fsync(file);
        }
        ::close(file);
    }
    void free() const { std::filesystem::remove(path_ / "filler"); }

 private:
    const std::filesystem::path path_;
    std::string kind_;
};

class DiskFullTest : public ServiceTest {
 protected:
    void open_on(const std::filesystem::path& folder) {
        service_.reset();
        cache_.reset();
        cache::CacheOptions options;
        options.path = folder / "cache";
        options.max_bytes = 10'000'000;
        options.policy = cache::PolicyKind::kLru;  // which writes every miss
        cache_ = cache::open_disk_cache(loop_, jobs_, fs_, clock_, options);
        service_ = make_chunk_service(loop_, jobs_, clock_, *cache_, *metadata_cache_, store_,
                                      options_, metrics_);
    }
    /// Twice: an insert that was under way when the cache was first cleared has ended then.
    void clear() {
        for (int n = 0; n < 2; ++n) {
            bool cleared = false;
            cache_->clear([&](std::size_t) { cleared = true; });
            ASSERT_TRUE(wait([&] { return cleared; }));
            settle();
        }
        ASSERT_EQ(cache_->stats().chunks, 0U);
    }
    void settle() {
        for (int n = 0; n < kSettles; ++n) settle_jobs();
    }
    void read_some() {
        for (int n = 0; n < kReadsAPhase; ++n) {
            const std::size_t which = random_.u32() % kChunks;
            const auto taker = take(ids_[which], contents_[which]);  // fails at a wrong byte
            ASSERT_TRUE(wait([&] { return taker->ended(); }));
            ++reads_;
            if (taker->finished) ++good_;
        }
    }

    SeededRandom random_{1};
    std::vector<Bytes> contents_;
    std::vector<ChunkId> ids_;
    std::uint64_t reads_ = 0;
    std::uint64_t good_ = 0;
};

TEST_F(DiskFullTest, ReadsGoOnAndTheCacheComesBack) {
    const SmallDisk disk(folder_.path());
    if (disk.kind().empty()) GTEST_SKIP() << "no file system can be mounted here";
    const char* text = std::getenv("KOLLATOR_DISK_FULL_CYCLES");
    const int cycles = text == nullptr ? 20 : std::atoi(text);
    for (std::size_t n = 0; n < kChunks; ++n) {
        contents_.push_back(random_bytes(kChunkBytes, n));
        ids_.push_back(put_in_store(contents_.back()));
    }
    open_on(disk.path());
    ASSERT_FALSE(cache_->stats().bypassed) << cache_->stats().bypass_reason;
    int warned = 0;
    int took_in_again = 0;
    for (int cycle = 0; cycle < cycles; ++cycle) {
        read_some();
        // With something of its own to give up the cache finds room; every other time it has none.
        const bool emptied = cycle % 2 == 1;
        if (emptied) clear();
        disk.fill();
        read_some();
        settle();
        if (emptied && cache_->stats().bypassed) ++warned;
        disk.free();
        clock_.advance(std::chrono::minutes(1));  // past any pause
        const std::uint64_t before = cache_->stats().insertions;
        read_some();
        settle();
        if (emptied && cache_->stats().insertions > before) ++took_in_again;
        if (cycle % 5 == 4) {  // and a start with a full disk
            disk.fill();
            open_on(disk.path());
            read_some();
            disk.free();
            clock_.advance(std::chrono::minutes(1));
        }
    }
    std::cout << disk.kind() << ": " << cycles << " cycles, " << good_ << " of " << reads_
              << " reads good, warned " << warned << " times\n";
    EXPECT_GE(static_cast<double>(good_), 0.999 * static_cast<double>(reads_));
    EXPECT_EQ(warned, cycles / 2) << "each time when it had nothing to give up";
    EXPECT_EQ(took_in_again, cycles / 2);
    service_.reset();
    cache_.reset();
}

}  // namespace
}  // namespace kollator::chunk
