#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"

namespace kollator::rtc {

/// How much of the send buffer is used, read off the packets that go by: usrsctp tells of its free
/// space only after SACKs without gaps, and on a path that loses packets those are rare.
///
///     buffered = taken by send() - cumulatively acknowledged
///
/// Exact for reliable messages; what partial reliability gives up is put right by resync().
class SendLedger {
 public:
    explicit SendLedger(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

    /// A message was taken, or after all it was not.
    void add_message(std::size_t size_bytes);
    void take_back_message(std::size_t size_bytes);

    /// What a packet of the peer's told.
    struct Acknowledged {
        std::size_t bytes = 0;               ///< cumulatively, and not before
        std::optional<Duration> round_trip;  ///< of a chunk that was sent once
    };

    /// A packet of ours: notes its DATA chunks; those sent again are only counted.
    void on_packet_out(ByteSpan packet, TimePoint now);
    /// A packet of the peer's. Malformed ones are harmless.
    Acknowledged on_packet_in(ByteSpan packet, TimePoint now);
    /// What usrsctp itself says is free.
    void resync(std::size_t free_bytes);

    std::size_t capacity_bytes() const { return capacity_bytes_; }
    /// The buffer has another size now. What is in it may be more for a while.
    void set_capacity(std::size_t capacity_bytes) { capacity_bytes_ = capacity_bytes; }
    std::size_t buffered_bytes() const { return buffered_bytes_; }
    std::size_t free_bytes() const {
        return capacity_bytes_ - std::min(buffered_bytes_, capacity_bytes_);
    }
    /// Sent and not cumulatively acknowledged.
    std::size_t in_flight_bytes() const { return in_flight_bytes_; }
    std::uint64_t retransmitted_bytes() const { return retransmitted_bytes_; }
    /// Messages that are not acknowledged as a whole. Approximate where streams overtake each
    /// other.
    std::size_t buffered_messages() const { return message_ends_.size(); }

 private:
    struct SentChunk {
        std::uint32_t tsn;
        std::uint32_t size_bytes;
    };

    void settle(std::size_t buffered_bytes);

    /// One chunk at a time, whose way is timed.
    struct Probe {
        std::uint32_t tsn;
        TimePoint sent;
    };

    std::size_t capacity_bytes_;
    std::size_t buffered_bytes_ = 0;
    std::uint64_t taken_bytes_ = 0;           ///< by all messages so far
    std::deque<std::uint64_t> message_ends_;  ///< what taken_bytes_ was after each
    std::deque<SentChunk> in_flight_;         ///< in TSN order
    std::size_t in_flight_bytes_ = 0;
    std::optional<Probe> probe_;
    std::uint64_t retransmitted_bytes_ = 0;
    bool sent_any_ = false;
    std::uint32_t highest_tsn_ = 0;  ///< sent so far
};

}  // namespace kollator::rtc
