#pragma once

#include <cstdint>

#include "bench/cache_sim/simulator.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::bench {

/// Clients who download whole files, each a chunk at a time at a pace of its own (0.8 to 8 s a
/// chunk), and begin another one when they are done; files are chosen by Zipf 0.8, their median is
/// 20 chunks.
struct Downloads {
    std::size_t files = 1000;
    std::size_t clients = 100;
    std::size_t requests = 300'000;
    std::uint64_t seed = 1;
    /// What a client knows of the cache when it chooses its next chunk.
    enum class Hints { kNone, kResidentFirst } hints = Hints::kNone;
    Duration refresh = std::chrono::seconds(2);  ///< of what it knows
};

/// The first quarter of the requests is not counted.
Outcome simulate_downloads(const Downloads& downloads, cache::PolicyKind kind,
                           std::uint64_t max_bytes);

}  // namespace kollator::bench
