#include "rtc/sctp/tx/cubic.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace kollator::rtc::sctp {
namespace {

using std::chrono::milliseconds;

/// Packets, before anything is known of the path (RFC 6928).
constexpr std::size_t kInitialWindow = 10;
constexpr std::size_t kLeastWindow = 4;
/// More than any send buffer.
constexpr std::size_t kMostWindowBytes = 64 * 1024 * 1024;

// RFC 9438 4.1.2, 4.6.
constexpr double kC = 0.4;
constexpr double kBeta = 0.7;
constexpr double kAlpha = 3 * (1 - kBeta) / (1 + kBeta);

// RFC 9406 4.3.
constexpr Duration kLeastGrowth = milliseconds(4);
constexpr Duration kMostGrowth = milliseconds(16);
constexpr int kGrowthDivisor = 8;
constexpr std::size_t kRoundSamples = 8;
constexpr std::size_t kCautiousDivisor = 4;
constexpr int kCautiousRounds = 5;

/// Losses that are tolerated: so many packets or so much of what came through in two round trips.
constexpr std::size_t kToleratedPackets = 2;
constexpr std::size_t kToleratedDivisor = 33;  // 3 %
/// And the round trip that is taken for one without a queue: up to a quarter longer than the
/// shortest, or 3 ms, which machines with other work need to turn around.
constexpr int kQuietDivisor = 4;
constexpr Duration kQuiet = milliseconds(3);
/// For growing faster, a sixteenth or 2 ms.
constexpr int kEmptyDivisor = 16;
constexpr Duration kEmpty = milliseconds(2);
constexpr std::size_t kFastGrowthDivisor = 8;
constexpr int kCalmRounds = 16;
/// The best rate of the past counts for a tenth less with each round.
constexpr double kRateFades = 0.9;

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

Cubic::Cubic(std::size_t packet_bytes, LossTolerance tolerance)
    : packet_(packet_bytes),
      tolerance_(tolerance),
      window_(kInitialWindow * packet_bytes),
      threshold_(std::numeric_limits<std::size_t>::max()) {}

void Cubic::on_acknowledged(const Acknowledged& acknowledged) {
    note_round(acknowledged);
    if (!acknowledged.limited || acknowledged.bytes == 0) return;
    if (in_slow_start()) {
        slow_start(acknowledged.bytes);
    } else {
        avoid(acknowledged);
    }
    window_ = std::min(window_, kMostWindowBytes);
}

void Cubic::note_round(const Acknowledged& acknowledged) {
    base_ = acknowledged.shortest_round_trip;
    round_.acknowledged_bytes += acknowledged.bytes;
    if (acknowledged.round_trip) {
        ++round_.samples;
        round_.shortest =
            std::min(round_.shortest.value_or(*acknowledged.round_trip), *acknowledged.round_trip);
    }
    if (acknowledged.newest_order < round_end_) return;
    end_round(acknowledged.now);
    round_end_ = acknowledged.next_order;
}

void Cubic::end_round(TimePoint now) {
    if (round_since_ != TimePoint{} && base_ && now - round_since_ >= *base_) {
        const double rate =
            static_cast<double>(round_.acknowledged_bytes) / seconds_of(now - round_since_);
        best_rate_ = std::max(rate, best_rate_ * kRateFades);
    }
    round_since_ = now;
    if (calm_rounds_ > 0) --calm_rounds_;
    if (in_slow_start() && cautious_rounds_ > 0) {
        // RFC 9406 4.2: what looked like a queue was noise if the round trip is short again.
        if (round_.shortest && cautious_since_ && *round_.shortest < *cautious_since_) {
            cautious_rounds_ = 0;
        } else if (--cautious_rounds_ == 0) {
            threshold_ = window_;
        }
    } else if (in_slow_start() && round_.shortest && last_round_.shortest &&
               round_.samples >= kRoundSamples) {
        const Duration growth =
            std::clamp(*last_round_.shortest / kGrowthDivisor, kLeastGrowth, kMostGrowth);
        if (*round_.shortest >= *last_round_.shortest + growth) {
            cautious_rounds_ = kCautiousRounds;
            cautious_since_ = round_.shortest;
        }
    }
    last_round_ = round_;
    round_ = {};
}

void Cubic::slow_start(std::size_t bytes) {
    window_ += cautious_rounds_ > 0 ? bytes / kCautiousDivisor : bytes;
}

void Cubic::avoid(const Acknowledged& acknowledged) {
    if (!epoch_) {
        epoch_ = acknowledged.now;
        w_est_ = static_cast<double>(window_);
        w_max_ = std::max(w_max_, w_est_);
        k_ = std::cbrt((w_max_ - w_est_) / static_cast<double>(packet_) / kC);
    }
    const double bytes = static_cast<double>(acknowledged.bytes);
    const double window = static_cast<double>(window_);
    const double target = std::clamp(cubic_target(acknowledged.now, base_.value_or(Duration{0})),
                                     window, window * 1.5);
    // RFC 9438 4.3: not less than Reno would have.
    w_est_ += (w_est_ >= w_max_ ? 1.0 : kAlpha) * static_cast<double>(packet_) * bytes / window;
    double growth = (target - window) * bytes / window;
    if (tolerance_ == LossTolerance::kRandom && calm_rounds_ == 0 && no_queue(kEmpty) &&
        last_round_.shortest &&
        *last_round_.shortest <= *base_ + std::max(*base_ / kEmptyDivisor, kEmpty)) {
        growth = std::max(growth, bytes / static_cast<double>(kFastGrowthDivisor));
    }
    window_ = static_cast<std::size_t>(std::max(window + growth, w_est_));
}

/// Where the curve is a round trip from now.
double Cubic::cubic_target(TimePoint now, Duration round_trip) {
    const double at = seconds_of(now - *epoch_ + round_trip) - k_;
    return kC * at * at * at * static_cast<double>(packet_) + w_max_;
}

bool Cubic::no_queue(Duration allowance) const {
    const auto shortest = round_.shortest ? round_.shortest : last_round_.shortest;
    if (!shortest || !base_) return false;
    return *shortest <= *base_ + std::max(*base_ / kQuietDivisor, allowance);
}

bool Cubic::tolerated() const {
    if (tolerance_ == LossTolerance::kNone || !no_queue(kQuiet)) return false;
    const std::size_t lost = round_.lost_bytes + last_round_.lost_bytes;
    const std::size_t through = round_.acknowledged_bytes + last_round_.acknowledged_bytes;
    return lost <= std::max(kToleratedPackets * packet_, through / kToleratedDivisor);
}

void Cubic::on_lost(const Lost& lost) {
    round_.lost_bytes += lost.bytes;
    if (lost.newest_order < recovery_end_ || tolerated()) return;
    recovery_end_ = lost.next_order;
    calm_rounds_ = kCalmRounds;
    reduce(kBeta);
}

/// What the path holds without a queue, as far as was seen lately.
std::size_t Cubic::path_bytes() const {
    if (tolerance_ == LossTolerance::kNone || !base_) return 0;
    return static_cast<std::size_t>(best_rate_ * seconds_of(*base_));
}

void Cubic::reduce(double factor) {
    const double window = static_cast<double>(window_);
    // RFC 9438 4.7: who loses below the last maximum leaves room for others.
    w_max_ = window < w_max_ ? window * (1 + kBeta) / 2 : window;
    const std::size_t kept = std::min(window_, path_bytes());
    window_ = std::max({static_cast<std::size_t>(window * factor), kept, kLeastWindow * packet_});
    threshold_ = window_;
    cautious_rounds_ = 0;
    epoch_.reset();
}

void Cubic::on_timeout(TimePoint) {
    reduce(kBeta);
    // RFC 9260 7.2.3: "cwnd = 1*MTU" and slow start up to the threshold.
    window_ = packet_;
}

void Cubic::on_idle() {
    // RFC 9260 7.2.1: "cwnd of the transport address SHOULD be adjusted to max(cwnd / 2, 4*MTU) per
    // RTO"; not below what a new connection begins with. What the path carried it may carry again
    // (RFC 2861 3.1), and a new connection has not yet asked.
    threshold_ = std::max(threshold_, window_);
    window_ = std::clamp(window_ / 2, std::min(window_, kInitialWindow * packet_), window_);
    epoch_.reset();
}

}  // namespace kollator::rtc::sctp
