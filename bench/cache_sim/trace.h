#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::bench {

/// A chunk of full size.
inline constexpr std::uint64_t kChunkBytes = 5U << 20;
inline constexpr cache::ReaderId kNobody = 0;

// What files and those who read them are like.
/// A file's length: the median, and the spread of its logarithm. 20 chunks are 100 MB.
inline constexpr double kMedianFileChunks = 20;
inline constexpr double kFileSpread = 1.0;
inline constexpr std::size_t kMaxFileChunks = 1000;
/// Between two chunks of a reader: 5 to 50 Mbit/s... 0.8 to 8 s.
inline constexpr double kMinPaceSeconds = 0.8;
inline constexpr double kMaxPaceSeconds = 8;
inline constexpr double kFileExponent = 0.8;  ///< of the files' popularity

struct Request {
    TimePoint at{};
    cache::PolicyKey key = 0;
    std::uint64_t bytes = kChunkBytes;
    cache::ReaderId reader = kNobody;  ///< who goes through a file, where the trace knows
    bool last = false;                 ///< the reader leaves
};

struct Trace {
    std::string name;
    std::vector<Request> requests;
    /// Chunks by file, where the trace knows files.
    std::vector<std::vector<cache::PolicyKey>> files;

    /// The number of different chunks, and their bytes.
    std::size_t distinct() const;
    std::uint64_t footprint_bytes() const;
};

/// Independent requests, the popularity of rank r being r^-exponent.
Trace zipf_trace(double exponent, std::size_t chunks, std::size_t requests, std::uint64_t seed);
/// As peers do (Gummadi et al., SOSP 2003): nobody fetches the same chunk twice, so the popular
/// ones are asked for less often than Zipf says.
Trace fetch_once_trace(std::size_t chunks, std::size_t users, std::size_t requests,
                       std::uint64_t seed);
/// Readers who come at random, choose a file by Zipf 0.8, and go through it in order, each at a
/// pace of its own, `concurrent` of them at a time; one in five leaves before the end.
Trace sequential_trace(std::size_t files, std::size_t requests, std::size_t concurrent,
                       std::uint64_t seed);
/// Zipf 0.8 whose ranks are dealt anew half-way.
Trace shock_trace(std::size_t chunks, std::size_t requests, std::uint64_t seed);
/// Zipf 0.8, and every tenth request goes through all names once, in order.
Trace scan_trace(std::size_t chunks, std::size_t requests, std::uint64_t seed);

}  // namespace kollator::bench
