#include "rtc/sctp/flight_cap.h"

#include <algorithm>
#include <chrono>

namespace kollator::rtc {
namespace {

constexpr Duration kNearLimit = std::chrono::milliseconds(3);
/// 34 datagrams: most of what the smallest buffer that we know of holds; at kNearLimit, 13 MB/s.
constexpr std::size_t kLeastBytes = 40 * 1024;
/// From here on the window is no longer bounded: a peer that takes this at once takes anything.
constexpr std::size_t kMostBytes = 1024 * 1024;
/// An eighth more for each megabyte that came through: from 64 to 256 KiB in 12 MB.
constexpr std::size_t kStepBytes = 1'000'000;
/// After a loss that is seldom: what it costs is a few datagrams in 10 or 20 MB, and a loss that
/// came of something else is made good in 60 MB.
constexpr std::size_t kStepAfterLossBytes = 5'000'000;

}  // namespace

void FlightCap::on_acknowledged(std::size_t bytes, std::optional<Duration> round_trip) {
    far_ = round_trip && *round_trip >= kNearLimit;
    if (lifted_ || far_) return;
    since_change_ += bytes;
    since_loss_ += bytes;
    if (since_change_ < (lost_ ? kStepAfterLossBytes : kStepBytes)) return;
    since_change_ = 0;
    bytes_ += bytes_ / 8;
    if (bytes_ >= kMostBytes) lifted_ = true;
}

void FlightCap::on_loss(std::size_t in_flight_bytes) {
    if (lifted_ || far_) return;
    // What goes with the first loss of a window is the same event.
    if (lost_ && since_loss_ < 2 * bytes_) return;
    lost_ = true;
    since_change_ = since_loss_ = 0;
    bytes_ = std::max(std::min(bytes_, in_flight_bytes) / 4 * 3, kLeastBytes);
}

}  // namespace kollator::rtc
