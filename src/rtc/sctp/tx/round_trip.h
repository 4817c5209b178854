#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// Round-trip time and retransmission timeout (RFC 9260 6.3.1). Pure.
class RoundTrip {
 public:
    void sample(Duration measured) {
        measured = std::max(measured, kGranularity);
        latest_ = measured;
        shortest_ = shortest_ ? std::min(*shortest_, measured) : measured;
        if (!smoothed_) {
            smoothed_ = measured;
            variance_ = measured / 2;
        } else {
            const Duration off =
                *smoothed_ > measured ? *smoothed_ - measured : measured - *smoothed_;
            variance_ += (off - variance_) / 4;
            smoothed_ = *smoothed_ + (measured - *smoothed_) / 8;
        }
        backoff_ = 0;
    }
    /// RFC 9260 6.3.3, E2: the timeout doubles.
    void back_off() { ++backoff_; }
    /// The peer has answered something new: what was doubled is as before.
    void relax() { backoff_ = 0; }
    bool backed_off() const { return backoff_ > 0; }

    Duration timeout() const {
        const Duration base =
            smoothed_ ? std::max(*smoothed_ + 4 * variance_, kLeastTimeout) : kFirstTimeout;
        return std::min(base * (1 << std::min(backoff_, 10)), kMostTimeout);
    }
    std::optional<Duration> smoothed() const { return smoothed_; }
    std::optional<Duration> shortest() const { return shortest_; }
    Duration latest() const { return latest_; }

 private:
    static constexpr Duration kGranularity = std::chrono::microseconds(10);
    /// RFC 9260 16 recommends 1 s: a lost last packet would stall a request as long. Peers delay
    /// acknowledgements by up to 200 ms.
    static constexpr Duration kLeastTimeout = std::chrono::milliseconds(220);
    static constexpr Duration kFirstTimeout = std::chrono::milliseconds(500);
    /// ICE's consent decides within 30 s whether the peer is there at all.
    static constexpr Duration kMostTimeout = std::chrono::seconds(10);

    std::optional<Duration> smoothed_;
    std::optional<Duration> shortest_;
    Duration variance_{0};
    Duration latest_{0};
    int backoff_ = 0;
};

}  // namespace kollator::rtc::sctp
