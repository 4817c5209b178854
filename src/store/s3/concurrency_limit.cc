#include "store/s3/concurrency_limit.h"

#include <algorithm>

namespace kollator::store::s3 {

bool ConcurrencyLimit::on_too_much(std::uint64_t era, TimePoint now) {
    if (era != era_) return false;
    ++era_;
    successes_ = 0;
    changed_ = now;
    value_ = std::max<std::size_t>(1, value_ / 2);
    return true;
}

void ConcurrencyLimit::on_success(TimePoint now) {
    if (value_ >= max_) return;
    ++successes_;
    if (successes_ < value_ || now < changed_ + kStepTime) return;
    successes_ = 0;
    changed_ = now;
    ++value_;
}

}  // namespace kollator::store::s3
