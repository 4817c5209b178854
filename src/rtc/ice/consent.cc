#include "rtc/ice/consent.h"

#include <algorithm>

namespace kollator::rtc {

Consent::Consent(TimePoint now, Duration timeout, Random& random)
    : timeout_(timeout), random_(&random) {
    renew(now);
}

void Consent::note_sent(TimePoint now, const TransactionId& id) {
    recent_[sent_ % kRemembered] = id;
    ++sent_;
    awaiting_ = true;
    next_check_ = now + kRetryInterval;
}

bool Consent::renew(TimePoint now, const TransactionId& id) {
    const auto end = recent_.begin() + static_cast<std::ptrdiff_t>(std::min(sent_, kRemembered));
    if (!awaiting_ || std::find(recent_.begin(), end, id) == end) return false;
    renew(now);
    return true;
}

void Consent::renew(TimePoint now) {
    expires_ = now + timeout_;
    next_check_ = now + random_interval();
    awaiting_ = false;
}

Duration Consent::random_interval() {
    // 0.8 to 1.2 of it, in steps of a 1,024th of the range.
    constexpr Duration kLeast = kInterval * 8 / 10;
    constexpr Duration kRange = kInterval * 4 / 10;
    return kLeast + kRange * (random_->u32() % 1025) / 1024;
}

}  // namespace kollator::rtc
