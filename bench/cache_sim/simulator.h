#pragma once

#include <cstdint>

#include "bench/cache_sim/trace.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::bench {

struct Outcome {
    std::uint64_t requests = 0;
    std::uint64_t hits = 0;
    std::uint64_t requested_bytes = 0;
    std::uint64_t hit_bytes = 0;
    std::uint64_t written = 0;  ///< chunks taken in
    double nanoseconds_per_request = 0;

    double object_hit_ratio() const { return ratio(hits, requests); }
    double byte_hit_ratio() const { return ratio(hit_bytes, requested_bytes); }

 private:
    static double ratio(std::uint64_t part, std::uint64_t whole) {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    }
};

/// Runs a trace through a policy. The first `warm_up` requests are not counted.
Outcome simulate(const Trace& trace, cache::PolicyKind kind, std::uint64_t max_bytes,
                 std::size_t warm_up);

/// What the policy alone costs a request: what a run asked of it is asked of another one again,
/// without the index.
double policy_nanoseconds(const Trace& trace, cache::PolicyKind kind, std::uint64_t max_bytes);

/// The best that knowing the future gives for chunks of one size (Belady, 1966; with bypass): the
/// one that is needed last goes, the newcomer included. For chunks of several sizes an
/// approximation.
Outcome simulate_min(const Trace& trace, std::uint64_t max_bytes, std::size_t warm_up);

}  // namespace kollator::bench
