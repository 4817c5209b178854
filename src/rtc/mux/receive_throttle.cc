#include "rtc/mux/receive_throttle.h"

namespace kollator::rtc {

bool ReceiveThrottle::woken(std::size_t messages, TimePoint now) {
    if (wake_ups_ == 0) first_ = now;
    messages_ += messages;
    if (++wake_ups_ <= kWakeUps) return false;
    const bool busy = now - first_ <= kWakeUps * kBusyInterval &&
                      messages_ <= static_cast<std::size_t>(wake_ups_) * kFewMessages;
    wake_ups_ = 0;
    messages_ = 0;
    idle_polls_ = 0;
    return busy;
}

bool ReceiveThrottle::polled(std::size_t messages) {
    idle_polls_ = messages < 2 ? idle_polls_ + 1 : 0;
    return idle_polls_ >= kIdlePolls;
}

}  // namespace kollator::rtc
