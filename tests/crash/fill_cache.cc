// Puts chunks into a disk cache's folder, for tests that start a worker on a full one:
//
//   crash_fill_cache <folder> <count>

#include <cstdio>
#include <cstdlib>

#include "base/random.h"
#include "cache/disk_cache.h"
#include "crypto/hash.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "loop/system_clock.h"

namespace {

constexpr std::size_t kChunkBytes = 1000;
/// Inserts that wait for the disk at once.
constexpr int kWindow = 64;
constexpr std::chrono::minutes kPatience{10};

/// False where it took too long, or an insert failed.
bool fill(kollator::EventLoop& loop, kollator::cache::DiskCache& disk_cache, int count) {
    kollator::SeededRandom random(1);
    int begun = 0;
    int done = 0;
    bool failed = false;
    while (begun < count && !failed) {
        auto chunk = std::make_shared<kollator::Buffer>(kChunkBytes);
        random.fill(chunk->span());
        const kollator::ChunkId id(kollator::crypto::sha256(std::as_const(*chunk).span()));
        ++begun;
        disk_cache.insert(id, std::move(chunk), [&](const kollator::Status& status) {
            ++done;
            failed = failed || !status.ok();
        });
        if (!loop.run_until([&] { return begun - done < kWindow; }, kPatience)) return false;
    }
    if (!loop.run_until([&] { return begun == done; }, kPatience)) return false;
    bool closed = false;
    disk_cache.close([&](const kollator::Status&) { closed = true; });
    return loop.run_until([&] { return closed; }, kPatience) && !failed;
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 3) {
        std::fprintf(stderr, "usage: crash_fill_cache <folder> <count>\n");
        return 2;
    }
    kollator::EventLoop loop;
    kollator::JobPool jobs(2);
    kollator::cache::CacheOptions options;
    options.path = arguments[1];
    options.max_bytes = 1'000'000'000;
    const auto disk_cache = kollator::cache::open_disk_cache(
        loop, jobs, kollator::posix_file_system(), kollator::system_clock(), options);
    return fill(loop, *disk_cache, std::atoi(arguments[2])) ? 0 : 1;
}
