#include "rtc/sctp/send_window.h"

#include <algorithm>
#include <chrono>

namespace kollator::rtc {
namespace {

/// Rounds of a near path are joined up to this: what is acknowledged comes in lumps.
constexpr Duration kShortestRound = std::chrono::milliseconds(5);
/// The shortest round trip may have become a longer one, on another path: after so long without one
/// as short, it is raised by a quarter. (Not to the latest ones: those have our own queue in them.)
constexpr Duration kShortestHolds = std::chrono::seconds(30);
constexpr int kRaiseNumerator = 5;
constexpr int kRaiseDenominator = 4;
/// Growth in steps, so that the socket is not told of each byte.
constexpr std::size_t kStepBytes = 64 * 1024;

}  // namespace

void SendWindow::note_round_trip(TimePoint now, Duration round_trip) {
    if (!shortest_ || round_trip < *shortest_) shortest_ = round_trip;
    if (!shortest_lately_) {
        lately_since_ = now;
        shortest_lately_ = round_trip;
    }
    shortest_lately_ = std::min(*shortest_lately_, round_trip);
    if (now - lately_since_ < kShortestHolds) return;
    shortest_ = std::min(*shortest_lately_, *shortest_ * kRaiseNumerator / kRaiseDenominator);
    shortest_lately_.reset();
}

void SendWindow::on_acknowledged(TimePoint now, std::size_t bytes,
                                 std::optional<Duration> round_trip) {
    if (round_trip) note_round_trip(now, *round_trip);
    if (!round_since_) {
        round_since_ = now;
        round_bytes_ = 0;
        return;
    }
    round_bytes_ += bytes;
    const Duration elapsed = now - *round_since_;
    if (!shortest_ || elapsed < std::max(*shortest_, kShortestRound)) return;
    if (limited_) {
        const double per_second =
            static_cast<double>(round_bytes_) / std::chrono::duration<double>(elapsed).count();
        const double wanted =
            factor_ * per_second * std::chrono::duration<double>(*shortest_).count();
        const auto steps = static_cast<std::size_t>(wanted) / kStepBytes;
        bytes_ = std::clamp(steps * kStepBytes, bytes_, std::max(bytes_, max_bytes_));
    }
    limited_ = false;
    round_since_ = now;
    round_bytes_ = 0;
}

}  // namespace kollator::rtc
