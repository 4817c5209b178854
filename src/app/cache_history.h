#pragma once

#include <cstdint>
#include <deque>

#include "base/time.h"

namespace kollator::app {

/// Counts that only grow.
struct CacheCounts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t insertions = 0;
    std::uint64_t evictions = 0;
    std::uint64_t served_bytes = 0;
    std::uint64_t cached_bytes = 0;  ///< of served_bytes, from the cache

    bool operator==(const CacheCounts&) const = default;
};

CacheCounts operator-(const CacheCounts& later, const CacheCounts& earlier);

/// What the counts were at times in the last hour, so that it can be told what happened of late.
/// Pure; one thread at a time.
class CacheHistory {
 public:
    static constexpr std::chrono::seconds kInterval{5};
    static constexpr std::chrono::minutes kLongest{60};

    /// To be called every kInterval; what comes sooner is not kept.
    void sample(TimePoint now, const CacheCounts& counts);

    /// What was counted in the last `window` (to within kInterval), of at most kLongest; with less
    /// history than that, since the start.
    CacheCounts since(TimePoint now, Duration window, const CacheCounts& counts) const;

 private:
    struct Sample {
        TimePoint at{};
        CacheCounts counts;
    };
    std::deque<Sample> samples_;  // oldest first: 721 of 56 bytes
};

}  // namespace kollator::app
