#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"

namespace kollator::rtc {

/// When to read a busy socket: at once when something comes, or seldom while there is much. A peer
/// that acknowledges every second datagram otherwise wakes the loop for one or two of them 15,000
/// times a second, which costs more than they do (as network drivers do: NAPI's polling). Who sends
/// data is not kept waiting: Firefox sent half as much where its acknowledgements came 200 us
/// later.
class ReceiveThrottle {
 public:
    /// Between two reads of a busy socket. Adds to a round trip, so well below what near ones have
    /// in flight: 200 us at 1 Gbit/s are 25 KB.
    static constexpr std::chrono::microseconds kPause{200};

    /// What was read at once.
    struct Read {
        std::size_t messages = 0;  ///< of the kernel's: UDP_GRO joins datagrams
        std::size_t datagrams = 0;
        std::size_t bytes = 0;
    };

    /// Woken at `now`. True: from now on the socket is busy.
    bool woken(const Read& read, TimePoint now);
    /// Read after a pause. True: it is busy no more.
    bool polled(const Read& read);

 private:
    /// Looked at together: short enough to notice a chunk's transfer, long enough for no single
    /// burst.
    static constexpr int kWakeUps = 16;
    /// Seldomer, or with more each, there is nothing to gain.
    static constexpr std::chrono::microseconds kBusyInterval{100};
    static constexpr std::size_t kFewMessages = 4;
    /// An acknowledgement or a request has 60 to 150; data nearly all that fits the path.
    static constexpr std::size_t kSmallBytes = 300;
    /// In a row, with fewer than two messages each or with data, that end it.
    static constexpr int kIdlePolls = 3;

    static bool has_data(const Read& read) { return read.bytes > read.datagrams * kSmallBytes; }

    int wake_ups_ = 0;
    Read total_;
    TimePoint first_{};
    int idle_polls_ = 0;
};

}  // namespace kollator::rtc
