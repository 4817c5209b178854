#pragma once

#include "rtc/sctp/tx/congestion_control.h"

namespace kollator::rtc::sctp {

enum class LossTolerance : std::uint8_t {
    kNone,    ///< each loss means congestion, as RFC 9438 has it
    kRandom,  ///< not one of a few, while the round trips show no queue
};

/// CUBIC (RFC 9438) with HyStart++ (RFC 9406), and three departures that make it proof against
/// distance and random loss:
///
/// 1. A loss is not taken for congestion while at most 3 % are lost and the round trips show that
///    no queue stands: a radio link's losses, not a full buffer's. (CUBIC alone carries 4 Mbit/s at
///    50 ms and 1 %.)
/// 2. While no queue stands, the window grows by an eighth each round trip at least: the path has
///    more to give, and the cubic curve takes 20 s to ask for 400 Mbit/s at 50 ms. Not for some
///    rounds after a loss that was taken for congestion: a buffer so small that no queue shows
///    would lose an eighth of every second round.
/// 3. It does not fall below what the path carried lately times the shortest round trip: with that
///    in flight no queue stands (TCP Westwood's thought).
///
/// Where a queue stands, or more is lost, it is CUBIC.
class Cubic final : public CongestionControl {
 public:
    Cubic(std::size_t packet_bytes, LossTolerance tolerance);

    std::size_t window_bytes() const override { return window_; }
    void on_acknowledged(const Acknowledged& acknowledged) override;
    void on_lost(const Lost& lost) override;
    void on_timeout(TimePoint now) override;
    void on_idle() override;

    bool in_slow_start() const { return window_ < threshold_; }

 private:
    /// What came back of the packets of one round trip.
    struct Round {
        std::size_t acknowledged_bytes = 0;
        std::size_t lost_bytes = 0;
        std::optional<Duration> shortest;
        std::size_t samples = 0;
    };

    void note_round(const Acknowledged& acknowledged);
    void end_round(TimePoint now);
    void slow_start(std::size_t bytes);
    void avoid(const Acknowledged& acknowledged);
    double cubic_target(TimePoint now, Duration round_trip);
    bool no_queue(Duration allowance) const;
    bool tolerated() const;
    void reduce(double factor);
    std::size_t path_bytes() const;

    const std::size_t packet_;
    const LossTolerance tolerance_;
    std::size_t window_;
    std::size_t threshold_;

    Round round_;
    Round last_round_;
    TimePoint round_since_{};
    double best_rate_ = 0;            ///< bytes a second of the best round lately
    std::uint64_t round_end_ = 0;     ///< the round is over when this order is acknowledged
    std::optional<Duration> base_;    ///< shortest round trip of all
    std::uint64_t recovery_end_ = 0;  ///< losses below are of the event that was answered
    int calm_rounds_ = 0;             ///< without growing fast

    // RFC 9406: conservative slow start, while the round trip seems to grow.
    int cautious_rounds_ = 0;
    std::optional<Duration> cautious_since_;  ///< the round trip that made us so

    // RFC 9438, in bytes and seconds.
    std::optional<TimePoint> epoch_;
    double w_max_ = 0;
    double w_est_ = 0;
    double k_ = 0;
};

}  // namespace kollator::rtc::sctp
