#pragma once

#include <chrono>
#include <ctime>
#include <utility>

#include "base/time.h"

namespace kollator::rtc::testing {

/// Steps of real time, for tests with usrsctp on a link that loses something: it resends a chunk
/// when that is old enough by the real clock, so virtual time must wait for it.
class RealSteps {
 public:
    /// Lets a moment pass, and gives how long it has been since the last one.
    Duration next() {
        const timespec moment{0, 1'000'000};
        // check: allow(purity) see above
        (void)::nanosleep(&moment, nullptr);
        const TimePoint then = std::exchange(last_, now());
        return last_ - then;
    }

 private:
    // check: allow(purity) see above
    static TimePoint now() { return std::chrono::steady_clock::now(); }

    TimePoint last_ = now();
};

}  // namespace kollator::rtc::testing
