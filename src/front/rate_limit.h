#pragma once

#include <algorithm>

#include "base/time.h"

namespace kollator::front {

/// A token bucket: `rate_per_s` for ever, `burst` at once.
class RateLimit {
 public:
    RateLimit(double rate_per_s, double burst, TimePoint now)
        : rate_per_s_(rate_per_s), burst_(burst), left_(burst), at_(now) {}

    /// False where it is too much; then nothing is taken.
    bool take(double amount, TimePoint now) {
        const double seconds = std::chrono::duration<double>(now - at_).count();
        at_ = now;
        left_ = std::min(burst_, left_ + std::max(0.0, seconds) * rate_per_s_);
        if (amount > left_) return false;
        left_ -= amount;
        return true;
    }

 private:
    double rate_per_s_;
    double burst_;
    double left_;
    TimePoint at_;
};

}  // namespace kollator::front
