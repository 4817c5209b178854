#include "rtc/sctp/tx/pacer.h"

#include <algorithm>
#include <chrono>

namespace kollator::rtc::sctp {
namespace {

/// As FlightCap's kNearLimit.
constexpr Duration kNearLimit = std::chrono::milliseconds(3);
/// What may go at once: 16 packets, or what a millisecond carries. Half of it is waited for: 2,000
/// wake-ups a second at most, and none where acknowledgements come more often.
constexpr double kLeastBurstBytes = 16 * 1160;
constexpr double kBurstSeconds = 0.001;
/// A loop that comes late to who waits makes up for it, with up to a quarter of a window.
constexpr double kLateBurstDivisor = 4;

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

void Pacer::set_rate(TimePoint now, std::size_t window_bytes, std::optional<Duration> round_trip,
                     double margin) {
    if (!round_trip || *round_trip < kNearLimit) {
        bytes_per_second_ = 0;
        return;
    }
    const bool fresh = bytes_per_second_ == 0;
    refill(now);
    bytes_per_second_ = margin * static_cast<double>(window_bytes) / seconds_of(*round_trip);
    burst_bytes_ = std::max(kLeastBurstBytes, bytes_per_second_ * kBurstSeconds);
    late_burst_bytes_ =
        std::max(burst_bytes_, static_cast<double>(window_bytes) / kLateBurstDivisor);
    if (fresh) left_bytes_ = burst_bytes_;
    refilled_ = now;
}

void Pacer::refill(TimePoint now) {
    const double most = held_back_ ? late_burst_bytes_ : burst_bytes_;
    const double full = left_bytes_ + bytes_per_second_ * seconds_of(now - refilled_);
    left_bytes_ = std::max(left_bytes_, std::min(full, most));
    refilled_ = now;
}

bool Pacer::may_send(TimePoint now) {
    if (bytes_per_second_ == 0) return true;
    refill(now);
    held_back_ = left_bytes_ <= 0;
    return !held_back_;
}

void Pacer::on_sent(std::size_t bytes) {
    left_bytes_ -= static_cast<double>(bytes);
}

TimePoint Pacer::next_time() const {
    const std::chrono::duration<double> wait((burst_bytes_ / 2 - left_bytes_) / bytes_per_second_);
    return refilled_ + std::chrono::ceil<TimePoint::duration>(wait);
}

}  // namespace kollator::rtc::sctp
