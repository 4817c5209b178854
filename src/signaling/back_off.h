#pragma once

#include <algorithm>

#include "base/random.h"
#include "base/time.h"

namespace kollator::signaling {

/// Delays between attempts: exponential with full jitter, so that those who lost the same server do
/// not come back at the same moment.
class BackOff {
 public:
    /// REQUIRES: 0 < base <= limit. `random` outlives it.
    BackOff(Random& random, Duration base, Duration limit)
        : random_(random), base_(base), limit_(limit) {}

    /// Anything from 0 to min(limit, base * 2^attempts).
    Duration next() {
        const Duration ceiling = ceiling_;
        ceiling_ = std::min(limit_, ceiling_ * 2);
        const auto range = static_cast<std::uint64_t>(ceiling.count()) + 1;
        return Duration(static_cast<Duration::rep>(random_.u64() % range));
    }
    void reset() { ceiling_ = base_; }

 private:
    Random& random_;
    const Duration base_;
    const Duration limit_;
    Duration ceiling_ = base_;
};

}  // namespace kollator::signaling
