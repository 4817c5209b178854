#pragma once

#include "bench/cache_sim/simulator.h"

namespace kollator::bench {

/// How far one comes who knows all that can be known at each moment, but not the future: of every
/// reader who has begun, when it will ask for which chunk (also where it will leave); of those who
/// have not, how often each file is begun over the whole trace. The chunk that is expected last
/// goes, the newcomer included. What lies between this and MIN is who comes next, which nobody
/// knows. For traces with files and chunks of one size.
Outcome simulate_informed(const Trace& trace, std::uint64_t max_bytes, std::size_t warm_up);

}  // namespace kollator::bench
