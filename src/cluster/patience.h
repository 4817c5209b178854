#pragma once

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace kollator::cluster {

/// Whether a fellow is worth asking: one who lets several requests run out of time in a row, or
/// sends wrong bytes, is left alone for a while, longer each time. Pure.
class Patience {
 public:
    static constexpr int kMaxTimeouts = 3;  ///< in a row
    static constexpr Duration kFirstRest = std::chrono::seconds(5);
    static constexpr Duration kLongestRest = std::chrono::seconds(60);

    void answered() {
        timeouts_ = 0;
        rest_ = kFirstRest;
    }
    void timed_out(TimePoint now) {
        if (++timeouts_ < kMaxTimeouts) return;
        timeouts_ = 0;
        leave_alone(now, rest_);
        rest_ = std::min(rest_ * 2, kLongestRest);
    }
    void was_corrupt(TimePoint now) { leave_alone(now, kLongestRest); }

    bool usable(TimePoint now) const { return now >= until_; }

 private:
    void leave_alone(TimePoint now, Duration rest) {
        until_ = std::max(until_, now + std::chrono::duration_cast<TimePoint::duration>(rest));
    }

    int timeouts_ = 0;
    Duration rest_ = kFirstRest;
    TimePoint until_{};
};

}  // namespace kollator::cluster
