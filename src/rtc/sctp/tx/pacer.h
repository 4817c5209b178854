#pragma once

#include <cstddef>
#include <optional>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// Spreads what the window allows over the round trip (RFC 9002 7.7): a bucket that fills at the
/// rate that the path is believed to carry, with a margin, and holds a short burst. A path without
/// a known round trip, or a near one, is not paced: timers are too coarse for it, and FlightCap
/// bounds the bursts there. Pure: time is an input.
class Pacer {
 public:
    /// What the window and the round trip are now. `margin`: how many windows a round trip.
    void set_rate(TimePoint now, std::size_t window_bytes, std::optional<Duration> round_trip,
                  double margin);
    bool may_send(TimePoint now);
    void on_sent(std::size_t bytes);
    /// When half of the bucket is full: worth a wake-up. REQUIRES: !may_send().
    TimePoint next_time() const;

 private:
    void refill(TimePoint now);

    double bytes_per_second_ = 0;  ///< 0: not paced
    double burst_bytes_ = 0;
    double late_burst_bytes_ = 0;
    bool held_back_ = false;  ///< may_send() said no, and nothing was sent since
    double left_bytes_ = 0;   ///< may be below 0 by a packet
    TimePoint refilled_{};
};

}  // namespace kollator::rtc::sctp
