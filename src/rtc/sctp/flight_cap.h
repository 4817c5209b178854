#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace kollator::rtc {

/// Bounds what is in flight on a near path. There nothing but the peer's socket holds back, and
/// where its buffer is small (a browser's: 128 KiB, about 50 datagrams) a window that grows until
/// something is lost loses dozens of datagrams again and again. So the bound begins low, grows with
/// what arrives, and after a loss stays under what was in flight then, trying for more only seldom.
/// A path of more than kNearLimit is not bounded: its losses are of another kind. The first round
/// trips of a near one may be long, too: who gets a single packet may wait for the next before it
/// acknowledges (RFC 9260 6.2). Pure.
class FlightCap {
 public:
    /// A packet acknowledged `bytes`; `round_trip` is the shortest so far.
    void on_acknowledged(std::size_t bytes, std::optional<Duration> round_trip);
    /// Something was sent again, with `in_flight_bytes` unacknowledged.
    void on_loss(std::size_t in_flight_bytes);

    /// 0: none.
    std::size_t bytes() const { return lifted_ || far_ ? 0 : bytes_; }

 private:
    static constexpr std::size_t kFirstBytes = 64 * 1024;

    bool lifted_ = false;  ///< the peer takes anything
    bool far_ = false;
    std::size_t bytes_ = kFirstBytes;
    bool lost_ = false;
    std::size_t since_change_ = 0;  ///< bytes acknowledged
    std::size_t since_loss_ = 0;
};

}  // namespace kollator::rtc
