#include "bench/cache_sim/trace.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <random>
#include <unordered_map>
#include <unordered_set>

namespace kollator::bench {
namespace {

using std::chrono::microseconds;

constexpr double kPaceJitter = 0.3;
constexpr double kLeavesEarly = 0.2;
constexpr std::size_t kScanEvery = 10;

/// Keys are spread as a hash would spread them (splitmix64's finalizer).
cache::PolicyKey key_of(std::uint64_t number) {
    std::uint64_t mixed = number + 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

class Zipf {
 public:
    Zipf(double exponent, std::size_t count) : sums_(count) {
        double sum = 0;
        for (std::size_t rank = 0; rank < count; ++rank) {
            sum += std::pow(static_cast<double>(rank + 1), -exponent);
            sums_[rank] = sum;
        }
    }

    std::size_t draw(std::mt19937_64& random) const {
        std::uniform_real_distribution<double> uniform(0, sums_.back());
        const auto at = std::lower_bound(sums_.begin(), sums_.end(), uniform(random));
        return static_cast<std::size_t>(at - sums_.begin());
    }

 private:
    std::vector<double> sums_;
};

TimePoint at_request(std::size_t number) {
    return TimePoint{} + std::chrono::milliseconds(100) * static_cast<std::int64_t>(number);
}

}  // namespace

std::size_t Trace::distinct() const {
    std::unordered_set<cache::PolicyKey> keys;
    for (const Request& request : requests) keys.insert(request.key);
    return keys.size();
}

std::uint64_t Trace::footprint_bytes() const {
    std::unordered_map<cache::PolicyKey, std::uint64_t> sizes;
    for (const Request& request : requests) sizes[request.key] = request.bytes;
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const auto& one) { return sum + one.second; });
}

Trace zipf_trace(double exponent, std::size_t chunks, std::size_t requests, std::uint64_t seed) {
    Trace trace;
    trace.name = "zipf " + std::to_string(exponent).substr(0, 3);
    std::mt19937_64 random(seed);
    const Zipf zipf(exponent, chunks);
    for (std::size_t n = 0; n < requests; ++n) {
        trace.requests.push_back({.at = at_request(n), .key = key_of(zipf.draw(random))});
    }
    return trace;
}

Trace fetch_once_trace(std::size_t chunks, std::size_t users, std::size_t requests,
                       std::uint64_t seed) {
    Trace trace;
    trace.name = "fetch-once";
    std::mt19937_64 random(seed);
    const Zipf zipf(1.0, chunks);
    std::uniform_int_distribution<std::size_t> any_user(0, users - 1);
    std::vector<std::unordered_set<std::size_t>> fetched(users);
    while (trace.requests.size() < requests) {
        auto& mine = fetched[any_user(random)];
        // Users come and go: who has seen a tenth of all is somebody else from now on.
        if (mine.size() > chunks / 10) mine.clear();
        const std::size_t rank = zipf.draw(random);
        if (!mine.insert(rank).second) continue;
        trace.requests.push_back({.at = at_request(trace.requests.size()), .key = key_of(rank)});
    }
    return trace;
}

namespace {

struct Walker {
    TimePoint at{};
    cache::ReaderId reader = 0;
    cache::FileId file = 0;
    std::uint32_t index = 0;
    std::uint32_t end = 0;
    double pace_seconds = 0;

    bool operator>(const Walker& other) const { return at > other.at; }
};

Duration seconds(double count) {
    return microseconds(static_cast<std::int64_t>(count * 1e6));
}

}  // namespace

Trace sequential_trace(std::size_t files, std::size_t requests, std::size_t concurrent,
                       std::uint64_t seed) {
    Trace trace;
    trace.name = "sequential x" + std::to_string(concurrent);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> length(std::log(kMedianFileChunks), kFileSpread);
    std::uint64_t number = 0;
    for (std::size_t file = 0; file < files; ++file) {
        const auto chunks =
            std::clamp<std::size_t>(static_cast<std::size_t>(length(random)), 1, kMaxFileChunks);
        auto& keys = trace.files.emplace_back();
        while (keys.size() < chunks) keys.push_back(key_of(number++));
    }
    const Zipf popularity(kFileExponent, files);
    std::uniform_real_distribution<double> unit(0, 1);
    cache::ReaderId next_reader = 1;
    const auto arrive = [&](TimePoint at) {
        Walker walker;
        walker.at = at;
        walker.reader = next_reader++;
        walker.file = popularity.draw(random);
        const auto whole = static_cast<std::uint32_t>(trace.files[walker.file].size());
        walker.end = unit(random) < kLeavesEarly
                         ? 1 + static_cast<std::uint32_t>(unit(random) * (whole - 1))
                         : whole;
        const double spread = kMaxPaceSeconds / kMinPaceSeconds;
        walker.pace_seconds = kMinPaceSeconds * std::pow(spread, unit(random));
        return walker;
    };
    std::priority_queue<Walker, std::vector<Walker>, std::greater<>> walkers;
    for (std::size_t n = 0; n < concurrent; ++n) {
        walkers.push(arrive(TimePoint{} + seconds(unit(random) * 60)));
    }
    while (trace.requests.size() < requests) {
        Walker walker = walkers.top();
        walkers.pop();
        trace.requests.push_back({.at = walker.at,
                                  .key = trace.files[walker.file][walker.index],
                                  .reader = walker.reader,
                                  .last = walker.index + 1 == walker.end});
        if (++walker.index == walker.end) {
            walkers.push(arrive(walker.at + seconds(unit(random) * 10)));
        } else {
            const double jitter = 1 + kPaceJitter * (2 * unit(random) - 1);
            walker.at += seconds(walker.pace_seconds * jitter);
            walkers.push(walker);
        }
    }
    return trace;
}

Trace shock_trace(std::size_t chunks, std::size_t requests, std::uint64_t seed) {
    Trace trace;
    trace.name = "shock";
    std::mt19937_64 random(seed);
    const Zipf zipf(0.8, chunks);
    std::vector<std::uint64_t> names(chunks);
    std::iota(names.begin(), names.end(), 0);
    for (std::size_t n = 0; n < requests; ++n) {
        if (n == requests / 2) std::shuffle(names.begin(), names.end(), random);
        trace.requests.push_back({.at = at_request(n), .key = key_of(names[zipf.draw(random)])});
    }
    return trace;
}

Trace scan_trace(std::size_t chunks, std::size_t requests, std::uint64_t seed) {
    Trace trace;
    trace.name = "zipf and scan";
    std::mt19937_64 random(seed);
    const Zipf zipf(0.8, chunks);
    std::size_t scanned = 0;
    for (std::size_t n = 0; n < requests; ++n) {
        const std::size_t number = n % kScanEvery == 0 ? scanned++ % chunks : zipf.draw(random);
        trace.requests.push_back({.at = at_request(n), .key = key_of(number)});
    }
    return trace;
}

}  // namespace kollator::bench
