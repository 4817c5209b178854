#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace kollator::rtc {

/// How large one association's send buffer should be. On a near path a small one is best: what lies
/// in it longer than needed only waits. On a far one the buffer bounds the throughput: 256 KiB give
/// 42 Mbit/s at 50 ms. So it follows bandwidth × delay, measured where the buffer was the bound:
///
///     size = factor × (acknowledged in a round trip) × (shortest round trip)
///
/// It grows so many times each round trip at most, and does not shrink. A factor of 2 fills a path
/// that loses nothing; behind a hole, what has arrived stays in the buffer for a round trip and
/// more until it is filled, and then the size would not grow with less than 3. Pure: time is an
/// input.
class SendWindow {
 public:
    SendWindow(std::size_t initial_bytes, std::size_t max_bytes, int factor = 2)
        : max_bytes_(max_bytes), factor_(factor), bytes_(initial_bytes) {}

    /// A packet of the peer's acknowledged `bytes`; `round_trip`: where it ended a measurement.
    void on_acknowledged(TimePoint now, std::size_t bytes, std::optional<Duration> round_trip);
    /// The buffer was full when there was more to send.
    void on_limited() { limited_ = true; }

    std::size_t bytes() const { return bytes_; }
    /// Empty before the first measurement.
    std::optional<Duration> shortest_round_trip() const { return shortest_; }

 private:
    void note_round_trip(TimePoint now, Duration round_trip);

    const std::size_t max_bytes_;
    const int factor_;
    std::size_t bytes_;
    bool limited_ = false;

    std::optional<Duration> shortest_;
    std::optional<Duration> shortest_lately_;
    TimePoint lately_since_{};

    std::optional<TimePoint> round_since_;
    std::size_t round_bytes_ = 0;
};

}  // namespace kollator::rtc
