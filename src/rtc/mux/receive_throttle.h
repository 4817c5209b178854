#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"

namespace kollator::rtc {

/// When to read a busy socket: at once when something comes, or seldom while there is much. A peer
/// that acknowledges every second datagram otherwise wakes the loop for one or two of them 15,000
/// times a second, which costs more than they do (as network drivers do: NAPI's polling).
class ReceiveThrottle {
 public:
    /// Between two reads of a busy socket. Adds to a round trip, so well below what near ones have
    /// in flight: 200 us at 1 Gbit/s are 25 KB.
    static constexpr std::chrono::microseconds kPause{200};

    /// Woken at `now`, and read `messages`. True: from now on the socket is busy.
    bool woken(std::size_t messages, TimePoint now);
    /// Read `messages` after a pause. True: it is busy no more.
    bool polled(std::size_t messages);

 private:
    /// Looked at together: short enough to notice a chunk's transfer, long enough for no single
    /// burst.
    static constexpr int kWakeUps = 16;
    /// Seldomer, or with more each, there is nothing to gain.
    static constexpr std::chrono::microseconds kBusyInterval{100};
    static constexpr std::size_t kFewMessages = 4;
    /// In a row, with fewer than two messages each, that end it.
    static constexpr int kIdlePolls = 3;

    int wake_ups_ = 0;
    std::size_t messages_ = 0;
    TimePoint first_{};
    int idle_polls_ = 0;
};

}  // namespace kollator::rtc
