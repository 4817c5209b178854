#pragma once

#include <vector>

#include "rtc/sctp/packet/forward_tsn_chunk.h"
#include "rtc/sctp/rx/reassembly.h"
#include "rtc/sctp/rx/receive_tracker.h"
#include "rtc/sctp/rx/sack_policy.h"

namespace kollator::rtc::sctp {

struct ReceiverOptions {
    std::uint32_t first_tsn = 0;
    std::size_t window_bytes = 0;
    std::size_t max_message_bytes = 0;
    std::size_t mtu_bytes = 0;
    std::uint16_t streams = 0;
};

/// The receiving half of an association: from DATA and FORWARD TSN chunks to messages, and the
/// SACKs about them. Pure: packets and time are given.
class Receiver {
 public:
    enum class Outcome : std::uint8_t { kOk, kBadStream, kEmpty, kTooLarge, kViolation };

    Receiver(BufferPool& pool, const ReceiverOptions& options);

    /// `undelivered_bytes`: of messages that the owner has not read yet. Messages that are in turn
    /// are appended to `out`.
    Outcome on_data(const DataChunk& data, std::size_t undelivered_bytes,
                    std::vector<ReceivedMessage>& out);
    /// After the chunks of a packet with DATA. True: a SACK must not wait for poll().
    bool end_packet(TimePoint now);
    /// Messages that are in turn with it are appended to `out`.
    void on_forward_tsn(const ForwardTsnChunk& forward, std::vector<ReceivedMessage>& out);
    void reset_stream(std::uint16_t stream) {
        reassembly_.reset_stream(stream);
        if (stream < used_.size()) used_[stream] = false;
    }
    /// That something came on since they began.
    std::vector<std::uint16_t> used_streams() const;

    SackPolicy& policy() { return policy_; }
    const SackPolicy& policy() const { return policy_; }
    /// Asks for a SACK if the window is much larger now than the peer believes.
    void check_window(std::size_t undelivered_bytes);
    bool fits_sack(const PacketBuilder& packet) const {
        return packet.room() >= tracker_.sack_bytes();
    }
    void write_sack(PacketBuilder& packet, std::size_t undelivered_bytes);

    Tsn cumulative() const { return tracker_.cumulative(); }
    Tsn unwrap(std::uint32_t tsn) const { return tracker_.unwrap(tsn); }

 private:
    std::size_t window(std::size_t undelivered_bytes) const;
    bool has_room(Tsn tsn, std::size_t size, std::size_t undelivered_bytes) const;

    const ReceiverOptions options_;
    ReceiveTracker tracker_;
    Reassembly reassembly_;
    SackPolicy policy_;
    std::vector<bool> used_;      ///< streams; up to the highest that is
    bool urgent_ = false;         ///< within a packet
    std::size_t promised_bytes_;  ///< what the peer believes it may send
};

}  // namespace kollator::rtc::sctp
