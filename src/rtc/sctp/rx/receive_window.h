#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// How much a peer may send unread, between `least` and `most`. What arrives within a round trip is
/// what was in flight: where that is more than half of the window it doubles, so that it stays
/// ahead of a peer in slow start, and of what the path holds. It shrinks while little arrives.
/// Pure; the owner asks what is wanted(), and sets what it can promise.
class ReceiveWindow {
 public:
    ReceiveWindow(std::uint32_t least_bytes, std::uint32_t most_bytes)
        : least_bytes_(least_bytes),
          most_bytes_(std::max(least_bytes, most_bytes)),
          bytes_(least_bytes) {}

    std::uint32_t bytes() const { return bytes_; }
    void set_bytes(std::uint32_t bytes) { bytes_ = bytes; }

    /// `round_trip`: the shortest, where one is known.
    void on_arrived(std::uint32_t bytes, TimePoint now, std::optional<Duration> round_trip) {
        if (now - span_begin_ > std::max(round_trip.value_or(kUnknownRoundTrip), kLeastSpan)) {
            span_begin_ = now;
            span_bytes_ = 0;
        }
        span_bytes_ += bytes;
        busiest_bytes_ = std::max(busiest_bytes_, span_bytes_);
        filled_ = span_bytes_ > bytes_ / 2;
    }
    std::uint32_t wanted(TimePoint now) {
        if (std::exchange(filled_, false))
            return bytes_ > most_bytes_ / 2 ? most_bytes_ : 2 * bytes_;
        if (now - reviewed_ < kReviewInterval) return bytes_;
        reviewed_ = now;
        const std::uint32_t busiest = std::exchange(busiest_bytes_, 0U);
        if (busiest == 0) return least_bytes_;
        return busiest < bytes_ / kIdleShare ? std::max(bytes_ / 2, least_bytes_) : bytes_;
    }

 private:
    /// Who has sent nothing has measured nothing. Too long a time grows a window that need not.
    static constexpr Duration kUnknownRoundTrip = std::chrono::milliseconds(200);
    /// Packets come in batches, and a busy machine reads them late.
    static constexpr Duration kLeastSpan = std::chrono::milliseconds(10);
    static constexpr Duration kReviewInterval = std::chrono::seconds(5);
    /// A window that has just doubled is a quarter full.
    static constexpr std::uint32_t kIdleShare = 8;

    std::uint32_t least_bytes_;
    std::uint32_t most_bytes_;
    std::uint32_t bytes_;
    std::uint32_t span_bytes_ = 0;
    bool filled_ = false;
    std::uint32_t busiest_bytes_ = 0;  ///< of the spans since the review
    TimePoint span_begin_{};
    TimePoint reviewed_{};
};

}  // namespace kollator::rtc::sctp
