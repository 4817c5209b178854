#pragma once

#include <chrono>
#include <optional>

#include "base/time.h"

namespace kollator::rtc::sctp {

/// When a SACK is due (RFC 9260 6.2). Packets come in batches, and poll() follows each: a SACK that
/// is due goes out there, so that one speaks for a whole batch. Pure.
class SackPolicy {
 public:
    /// A packet with DATA came. `urgent`: it opened or filled a hole, was a duplicate, or asked for
    /// it (RFC 7053). Gives true where the SACK must not wait for poll().
    bool on_packet(TimePoint now, bool urgent) {
        ++packets_;
        ++unacknowledged_;
        if (urgent) due_ = true;
        // RFC 9260 6.2: "an acknowledgement SHOULD be generated for at least every second packet".
        if (unacknowledged_ >= 2) due_ = true;
        if (!deadline_) deadline_ = now + kDelay;
        return unacknowledged_ >= (urgent || packets_ <= kSlowStartPackets ? 2U : kMostPackets);
    }
    void on_timeout(TimePoint now) {
        if (deadline_ && *deadline_ <= now) due_ = true;
    }
    /// The window has grown much, or something else must be told.
    void demand() { due_ = true; }
    void on_sent() {
        due_ = false;
        unacknowledged_ = 0;
        deadline_.reset();
    }

    bool due() const { return due_; }
    /// A packet that goes anyway takes it along.
    bool owed() const { return due_ || unacknowledged_ > 0; }
    std::optional<TimePoint> deadline() const { return due_ ? std::nullopt : deadline_; }

 private:
    /// RFC 9260 6.2: "within 200 ms"; peers that send small messages one by one wait for it.
    static constexpr Duration kDelay = std::chrono::milliseconds(20);
    /// DEVIATION from "every second packet" in the long run: the acknowledgements of a batch say
    /// the same. But a peer in slow start counts them (RFC 9260 7.2.1: its window grows by a packet
    /// or so for each), so the first megabyte is acknowledged by the letter.
    static constexpr std::uint64_t kSlowStartPackets = 1000;
    static constexpr std::uint32_t kMostPackets = 8;

    std::uint64_t packets_ = 0;
    std::uint32_t unacknowledged_ = 0;
    bool due_ = false;
    std::optional<TimePoint> deadline_;
};

}  // namespace kollator::rtc::sctp
