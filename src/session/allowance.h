#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/time.h"

namespace kollator::session {

/// What a client may ask for in time: so many at once, and so many a second after that.
class Allowance {
 public:
    Allowance(double burst, double per_second) : burst_(burst), per_second_(per_second) {}

    /// Takes `amount`, and gives zero; or takes nothing, and gives when it is worth trying again.
    /// REQUIRES: amount <= burst.
    std::chrono::milliseconds take(TimePoint now, double amount) {
        if (last_ == TimePoint{}) {
            left_ = burst_;
        } else {
            const double seconds = std::chrono::duration<double>(now - last_).count();
            left_ = std::min(burst_, left_ + seconds * per_second_);
        }
        last_ = now;
        if (left_ < amount) {
            const double missing_ms = (amount - left_) / per_second_ * 1000;
            return std::chrono::milliseconds(1 + static_cast<std::int64_t>(std::ceil(missing_ms)));
        }
        left_ -= amount;
        return std::chrono::milliseconds(0);
    }

 private:
    double burst_;
    double per_second_;
    double left_ = 0;
    TimePoint last_{};
};

}  // namespace kollator::session
