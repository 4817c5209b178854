#pragma once

#include <optional>
#include <vector>

#include "rtc/sctp/packet/sack_chunk.h"
#include "rtc/sctp/packet/tsn.h"
#include "rtc/sctp/tx/out_message.h"
#include "rtc/sctp/tx/ring.h"
#include "rtc/sctp/tx/round_trip.h"
#include "rtc/sctp/tx/stream_queues.h"

namespace kollator::rtc::sctp {

/// The chunks that were sent and are not cumulatively acknowledged, and which of them are lost.
///
///                      +---------- sent again ---------+
///                      v                               |
///     sent -----> kInFlight --overtaken, timeout--> kLost --given up--> kAbandoned
///                      |                               |
///                      +--------> kAcknowledged <------+
///
/// Lost is what packets overtook that were sent three or more later, or an eighth of a round trip
/// later: RFC 9260 7.2.4's three reports, counted by packets sent (as RFC 8985 and RFC 9002 do), so
/// that the loss of what was sent again is seen, too. Pure.
class Outstanding {
 public:
    enum class State : std::uint8_t { kInFlight, kLost, kAcknowledged, kAbandoned };

    struct Chunk {
        MessageRef message;
        std::uint32_t offset = 0;
        std::uint16_t size_bytes = 0;
        State state = State::kInFlight;
        bool ends = false;
        std::int32_t retransmits = 0;
        std::uint64_t order = 0;  ///< of the packet that took it last
        TimePoint sent{};
        // Those in flight are a list in the order of their sending; 0 is none.
        Tsn older = 0;
        Tsn newer = 0;
    };

    /// What a SACK told.
    struct Acknowledged {
        bool stale = false;           ///< older than one before, or of another association
        bool cumulative = false;      ///< the cumulative TSN moved
        std::size_t bytes = 0;        ///< not acknowledged before
        std::size_t freed_bytes = 0;  ///< of the send buffer
        std::size_t freed_messages = 0;
        std::optional<Duration> round_trip;
    };
    struct Losses {
        std::size_t bytes = 0;
        std::uint64_t newest_order = 0;
    };

    explicit Outstanding(std::uint32_t first_tsn_on_wire) : base_(first_tsn(first_tsn_on_wire)) {}

    Tsn next_tsn() const { return base_ + chunks_.size(); }
    Tsn cumulative() const { return base_ - 1; }
    bool empty() const { return chunks_.empty(); }
    std::size_t count() const { return chunks_.size(); }
    std::size_t in_flight_bytes() const { return in_flight_bytes_; }
    bool anything_in_flight() const { return oldest_ != 0; }
    /// Of the packet that was acknowledged and sent last.
    std::uint64_t newest_acknowledged() const { return newest_acknowledged_; }
    const Chunk& chunk(Tsn tsn) const { return chunks_[static_cast<std::size_t>(tsn - base_)]; }

    /// The fragment goes out for the first time.
    Tsn add(StreamQueues::Fragment fragment, TimePoint now, std::uint64_t order);
    /// The next one that must go out again.
    std::optional<Tsn> next_lost();
    /// REQUIRES: it is the one that next_lost() gave.
    const Chunk& resend(Tsn tsn, TimePoint now, std::uint64_t order);

    Acknowledged on_sack(const SackChunk& sack, TimePoint now, const RoundTrip& round_trip);
    /// Marks what is overtaken. `deadline()` then tells when more will be.
    Losses detect(TimePoint now, const RoundTrip& round_trip);
    std::optional<TimePoint> deadline() const { return deadline_; }
    /// The peer got something twice: it was not lost, but late.
    void on_spurious();
    /// T3-rtx: all that is in flight. `again`: it expired before, and nothing has come since.
    void lose_all(bool again);
    /// The last one once more, to make the peer tell what it has (RFC 8985 7). False: none there.
    bool lose_newest();

    /// Gives the chunk's message up, as far as it was sent. Where that is not all of it, a TSN more
    /// stands for the rest: the peer may have all that was sent, and a FORWARD TSN that ends there
    /// would be an old one to it (RFC 3758 3.6), while it waits for the message's SSN.
    void abandon(Tsn tsn);
    /// RFC 3758 3.5: up to where the peer need not wait for anything.
    Tsn advanced_point() const;
    /// The value of a FORWARD TSN chunk up to there.
    Bytes forward_tsn_value(Tsn point) const;

 private:
    Chunk& at(Tsn tsn) { return chunks_[static_cast<std::size_t>(tsn - base_)]; }
    bool holds(Tsn tsn) const { return tsn >= base_ && tsn < next_tsn(); }
    void link(Tsn tsn);
    void unlink(Tsn tsn);
    void mark_lost(Tsn tsn);
    void acknowledge(Tsn tsn, TimePoint now, const RoundTrip& round_trip, Acknowledged& told);
    void pop(Acknowledged& told);
    void take_gaps(const SackChunk& sack, Tsn cumulative);

    Ring<Chunk> chunks_;
    Tsn base_;  ///< of the first chunk
    Tsn oldest_ = 0;
    Tsn newest_ = 0;
    std::size_t in_flight_bytes_ = 0;
    Ring<Tsn> lost_;
    std::vector<TsnRange> gaps_;      ///< as the latest SACK said
    std::vector<TsnRange> old_gaps_;  ///< and the one before
    std::uint64_t newest_acknowledged_ = 0;
    std::optional<std::uint64_t> sample_order_;  ///< of the chunk that the round trip is of
    std::uint64_t reordering_packets_ = 3;
    std::optional<TimePoint> deadline_;
};

}  // namespace kollator::rtc::sctp
