#include "rtc/stun/stun_client.h"

#include <utility>

namespace kollator::rtc {

namespace {

// RFC 8489 6.2.1: the initial RTO, and Rc. Sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
constexpr Duration kInitialTimeout = std::chrono::milliseconds(500);
constexpr int kMaxTransmissions = 7;

}  // namespace

void StunClient::start(TimePoint now) {
    pending_.emplace();
    random_.fill(*pending_);
    store_u32(pending_->data(), transaction_prefix_);
    sent_ = 0;
    timeout_ = kInitialTimeout;
    send(now);
}

void StunClient::send(TimePoint now) {
    output_ = StunBuilder(StunClass::kRequest, kStunBinding, *pending_).fingerprint().finish();
    ++sent_;
    next_ = now + timeout_;
    timeout_ *= 2;
}

void StunClient::handle_response(TimePoint now, const StunMessage& message) {
    if (!pending_ || message.transaction != *pending_) return;
    const bool success =
        message.message_class == StunClass::kSuccess && message.mapped_address.has_value();
    pending_.reset();
    gathering_ = false;
    mapped_ = success ? message.mapped_address : std::nullopt;
    next_ = now + (success ? kRefresh : kRetry);
}

void StunClient::handle_timeout(TimePoint now) {
    if (!next_ || now < *next_) return;
    if (!pending_) return start(now);
    if (sent_ < kMaxTransmissions) return send(now);
    pending_.reset();
    gathering_ = false;
    mapped_.reset();
    next_ = now + kRetry;
}

std::optional<Bytes> StunClient::poll_output() {
    return std::exchange(output_, std::nullopt);
}

}  // namespace kollator::rtc
