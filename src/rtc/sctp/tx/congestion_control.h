#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// How many bytes may be in flight. Packets are told apart by their *order*, a number that counts
/// every packet with DATA, those sent again included. Pure: time is an input.
class CongestionControl {
 public:
    struct Acknowledged {
        TimePoint now{};
        std::size_t bytes = 0;  ///< that were not acknowledged before
        std::uint64_t newest_order = 0;
        std::uint64_t next_order = 0;  ///< of the next packet
        bool limited = false;          ///< by window(): there was more to send
        std::optional<Duration> round_trip;
        std::optional<Duration> shortest_round_trip;  ///< of all so far
    };
    struct Lost {
        TimePoint now{};
        std::size_t bytes = 0;
        std::uint64_t newest_order = 0;  ///< of what was lost
        std::uint64_t next_order = 0;
    };

    virtual ~CongestionControl() = default;
    virtual std::size_t window_bytes() const = 0;
    virtual void on_acknowledged(const Acknowledged& acknowledged) = 0;
    virtual void on_lost(const Lost& lost) = 0;
    /// T3-rtx expired (RFC 9260 7.2.3).
    virtual void on_timeout(TimePoint now) = 0;
    /// Nothing was sent for a retransmission timeout: what is known of the path is old.
    virtual void on_idle() = 0;
};

}  // namespace kollator::rtc::sctp
