// How fast the S3 store moves chunks, and what it costs: GET and PUT of 5 MiB objects with 1, 8 and
// 32 requests in flight. Run by bench/store_bench.mjs beside the AWS SDK, which says where the
// server is:
//
//   store_bench <MiB for each line>     S3_ENDPOINT, S3_BUCKET, S3_REGION, S3_ACCESS_KEY and
//                                       S3_SECRET_KEY in the environment
//
// Prints a line of JSON for each measurement: {"what":"GET","inFlight":8,"megabytesPerSecond":…,
// "cpuPerGigabyte":…}. The CPU time is this process's alone (user and system), without the making
// of content and without SHA-256, which the chunk service does.

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "loop/event_loop.h"
#include "loop/system_clock.h"
#include "store/s3/s3_store.h"

namespace kollator::store {
namespace {

constexpr std::size_t kChunkBytes = 5 << 20;
constexpr std::size_t kInFlight[] = {1, 8, 32};
/// More than are in flight at once, so that no GET asks for what another has just asked for.
constexpr std::size_t kObjects = 64;
constexpr auto kDeadline = std::chrono::minutes(10);

struct Object {
    ObjectKey key;
    SharedBuffer body;
};

Object make_object(std::uint64_t seed) {
    SeededRandom random(seed);
    auto body = std::make_shared<Buffer>(kChunkBytes);
    random.fill(body->span());
    const ObjectKey key{ChunkId(crypto::sha256(body->span()))};
    return {key, std::move(body)};
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Keeps `in_flight` requests going until `count` have been answered.
class Load {
 public:
    /// Starts request number `index`; calls `done` with its success.
    using Start = std::function<TransferHandle(std::size_t index, std::function<void(bool)> done)>;

    Load(EventLoop& loop, std::size_t in_flight, std::size_t count, Start start)
        : loop_(loop), count_(count), start_(std::move(start)), slots_(in_flight) {}

    bool run() {
        for (std::size_t slot = 0; slot < slots_.size(); ++slot) next(slot);
        return loop_.run_until([this] { return answered_ == count_; }, kDeadline) && failed_ == 0;
    }

 private:
    void next(std::size_t slot) {
        if (started_ == count_) return;
        slots_[slot] = start_(started_++, [this, slot](bool success) {
            ++answered_;
            failed_ += success ? 0 : 1;
            next(slot);
        });
    }

    EventLoop& loop_;
    const std::size_t count_;
    const Start start_;
    std::vector<TransferHandle> slots_;
    std::size_t started_ = 0;
    std::size_t answered_ = 0;
    std::size_t failed_ = 0;
};

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool measure(EventLoop& loop, const char* what, std::size_t in_flight, std::size_t count,
             Load::Start start) {
    const double cpu_before = cpu_seconds();
    const TimePoint begin = loop.now();
    if (!Load(loop, in_flight, count, std::move(start)).run()) {
        fmt::print(stderr, "{} with {} in flight failed\n", what, in_flight);
        return false;
    }
    const double seconds = std::chrono::duration<double>(loop.now() - begin).count();
    const double bytes = static_cast<double>(count * kChunkBytes);
    fmt::print(
        "{{\"what\":\"{}\",\"inFlight\":{},\"megabytesPerSecond\":{:.1f},"
        "\"cpuPerGigabyte\":{:.3f}}}\n",
        what, in_flight, bytes / seconds / 1e6, (cpu_seconds() - cpu_before) / (bytes / 1e9));
    std::fflush(stdout);
    return true;
}

int run(std::size_t total_bytes) {
    S3Options options;
    options.endpoint = variable("S3_ENDPOINT");
    options.region = variable("S3_REGION");
    options.bucket = variable("S3_BUCKET");
    options.access_key = variable("S3_ACCESS_KEY");
    options.secret_key = variable("S3_SECRET_KEY");
    EventLoop loop;
    SeededRandom random(1);
    auto store = make_s3_store(loop, system_clock(), random, options);
    if (!store) {
        fmt::print(stderr, "{}\n", store.error().detail);
        return 1;
    }
    std::vector<Object> objects;
    for (std::uint64_t seed = 0; seed < kObjects; ++seed) objects.push_back(make_object(seed));

    const auto put = [&](std::size_t index, std::function<void(bool)> done) {
        const Object& object = objects[index % kObjects];
        return (*store)->put(object.key, object.body, object.key.hash,
                             [done](const auto& result) { done(result.ok()); });
    };
    const auto remove = [&](std::size_t index, std::function<void(bool)> done) {
        return (*store)->remove(objects[index].key,
                                [done](const Status& status) { done(status.ok()); });
    };
    const auto get = [&](std::size_t index, std::function<void(bool)> done) {
        GetOptions limits;
        limits.max_bytes = kChunkBytes;
        return (*store)->get(objects[index % kObjects].key, limits, nullptr,
                             [done](const auto& result) { done(result.ok()); });
    };
    for (const std::size_t in_flight : kInFlight) {
        // A PUT of what is there moves nothing that counts.
        if (!Load(loop, 8, kObjects, remove).run()) return 1;
        if (!measure(loop, "PUT", in_flight, kObjects, put)) return 1;
    }
    const std::size_t gets = std::max<std::size_t>(kObjects, total_bytes / kChunkBytes);
    for (const std::size_t in_flight : kInFlight) {
        if (!measure(loop, "GET", in_flight, gets, get)) return 1;
    }
    return 0;
}

}  // namespace
}  // namespace kollator::store

int main(int argc, char** argv) {
    const std::size_t mebibytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 500;
    return kollator::store::run(mebibytes << 20);
}
