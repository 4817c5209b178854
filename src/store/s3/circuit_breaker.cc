#include "store/s3/circuit_breaker.h"

#include <algorithm>

namespace kollator::store::s3 {

bool CircuitBreaker::refuses(TimePoint now) const {
    return state_ == BreakerState::kHalfOpen ||
           (state_ == BreakerState::kOpen && now < open_until_);
}

CircuitBreaker::Pass CircuitBreaker::pass(TimePoint now) {
    if (refuses(now)) return Pass::kNo;
    if (state_ == BreakerState::kClosed) return Pass::kYes;
    state_ = BreakerState::kHalfOpen;
    return Pass::kProbe;
}

bool CircuitBreaker::on_answer(TimePoint now) {
    answered_at_ = now;
    const bool closed = state_ != BreakerState::kClosed;
    state_ = BreakerState::kClosed;
    outages_ = 0;
    wait_ = options_.min_wait;
    return closed;
}

void CircuitBreaker::open(TimePoint now) {
    state_ = BreakerState::kOpen;
    open_until_ = now + std::chrono::duration_cast<TimePoint::duration>(wait_);
    wait_ = std::min(2 * wait_, options_.max_wait);
}

bool CircuitBreaker::on_outage(TimePoint now, Pass pass) {
    ++outages_;
    // What was sent before the circuit opened fails without news; only the probe says something.
    if (state_ == BreakerState::kHalfOpen && pass == Pass::kProbe) {
        open(now);
        return false;
    }
    if (state_ != BreakerState::kClosed) return false;
    if (options_.failures == 0 || outages_ < options_.failures) return false;
    if (answered_at_ && now - *answered_at_ < options_.min_silence) return false;
    open(now);
    return true;
}

void CircuitBreaker::on_cancelled(Pass pass) {
    // The next request is the probe: open, and waited already.
    if (state_ == BreakerState::kHalfOpen && pass == Pass::kProbe) state_ = BreakerState::kOpen;
}

Duration CircuitBreaker::wait_left(TimePoint now) const {
    if (state_ != BreakerState::kOpen) return Duration::zero();
    return std::max<Duration>(Duration::zero(), open_until_ - now);
}

}  // namespace kollator::store::s3
