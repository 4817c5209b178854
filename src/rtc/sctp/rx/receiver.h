#pragma once

#include <vector>

#include "rtc/sctp/packet/forward_tsn_chunk.h"
#include "rtc/sctp/rx/reassembly.h"
#include "rtc/sctp/rx/receive_tracker.h"
#include "rtc/sctp/rx/receive_window.h"
#include "rtc/sctp/rx/sack_policy.h"

namespace kollator::rtc::sctp {

struct ReceiverOptions {
    std::uint32_t first_tsn = 0;
    std::uint32_t window_bytes = 0;  ///< at least
    std::uint32_t max_window_bytes = 0;
    std::uint32_t max_message_bytes = 0;
    std::uint32_t mtu_bytes = 0;
    std::uint16_t streams = 0;
};

/// What bounds the window beside what the receiver itself holds.
struct ReceiveLoad {
    std::size_t undelivered_bytes = 0;  ///< of messages that the owner has not read yet
    bool scarce = false;                ///< all associations together hold what they may
};

/// The receiving half of an association: from DATA and FORWARD TSN chunks to messages, and the
/// SACKs about them. Pure: packets and time are given.
class Receiver {
 public:
    enum class Outcome : std::uint8_t { kOk, kBadStream, kEmpty, kTooLarge, kViolation };

    Receiver(BufferPool& pool, const ReceiverOptions& options);

    /// Messages that are in turn are appended to `out`.
    Outcome on_data(const DataChunk& data, const ReceiveLoad& load,
                    std::vector<ReceivedMessage>& out);
    /// After the chunks of a packet with DATA. True: a SACK must not wait for poll().
    /// `round_trip`: the shortest, where one is known.
    bool end_packet(TimePoint now, std::optional<Duration> round_trip = std::nullopt);
    /// Messages that are in turn with it are appended to `out`.
    void on_forward_tsn(const ForwardTsnChunk& forward, std::vector<ReceivedMessage>& out);
    void reset_stream(std::uint16_t stream) { reassembly_.reset_stream(stream); }
    std::vector<std::uint16_t> used_streams() const { return reassembly_.used_streams(); }

    SackPolicy& policy() { return policy_; }
    const SackPolicy& policy() const { return policy_; }
    /// Asks for a SACK if the window is much larger now than the peer believes.
    void check_window(const ReceiveLoad& load);
    ReceiveWindow& receive_window() { return window_; }
    bool fits_sack(const PacketBuilder& packet) const {
        return packet.room() >= tracker_.sack_bytes();
    }
    void write_sack(PacketBuilder& packet, const ReceiveLoad& load);
    /// What all that is not given on takes.
    std::size_t memory_bytes() const { return reassembly_.memory_bytes(); }

    Tsn cumulative() const { return tracker_.cumulative(); }
    Tsn unwrap(std::uint32_t tsn) const { return tracker_.unwrap(tsn); }

 private:
    std::size_t most_ahead(const ReceiveLoad& load) const;
    std::size_t free_window(const ReceiveLoad& load) const;
    bool has_room(Tsn tsn, std::size_t size, const ReceiveLoad& load) const;

    const ReceiverOptions options_;
    ReceiveTracker tracker_;
    Reassembly reassembly_;
    SackPolicy policy_;
    ReceiveWindow window_;
    bool urgent_ = false;              ///< within a packet
    std::uint32_t arrived_bytes_ = 0;  ///< within a packet
    std::size_t promised_bytes_;       ///< what the peer believes it may send
};

}  // namespace kollator::rtc::sctp
