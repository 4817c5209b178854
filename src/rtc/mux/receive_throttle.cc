#include "rtc/mux/receive_throttle.h"

namespace kollator::rtc {

bool ReceiveThrottle::woken(const Read& read, TimePoint now) {
    if (wake_ups_ == 0) first_ = now;
    total_.messages += read.messages;
    total_.datagrams += read.datagrams;
    total_.bytes += read.bytes;
    if (++wake_ups_ <= kWakeUps) return false;
    const bool busy = now - first_ <= kWakeUps * kBusyInterval && !has_data(total_) &&
                      total_.messages <= static_cast<std::size_t>(wake_ups_) * kFewMessages;
    wake_ups_ = 0;
    total_ = {};
    idle_polls_ = 0;
    return busy;
}

bool ReceiveThrottle::polled(const Read& read) {
    idle_polls_ = read.messages < 2 || has_data(read) ? idle_polls_ + 1 : 0;
    return idle_polls_ >= kIdlePolls;
}

}  // namespace kollator::rtc
