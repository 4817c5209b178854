#pragma once

#include <optional>
#include <vector>

#include "rtc/sctp/flight_cap.h"
#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/send_window.h"
#include "rtc/sctp/tx/cubic.h"
#include "rtc/sctp/tx/outstanding.h"
#include "rtc/sctp/tx/pacer.h"
#include "rtc/sctp/tx/round_trip.h"
#include "rtc/sctp/tx/stream_queues.h"

namespace kollator::rtc::sctp {

struct SenderOptions {
    std::size_t mtu_bytes = 0;
    std::size_t buffer_bytes = 0;
    std::size_t max_buffer_bytes = 0;
    std::uint32_t first_tsn = 0;
    std::uint32_t peer_window_bytes = 0;
    bool peer_takes_forward_tsn = false;
    LossTolerance tolerance = LossTolerance::kRandom;
};

/// The sending half of an association: from messages to DATA and FORWARD TSN chunks, and what SACKs
/// and time do to them. Pure: packets and time are given.
class Sender {
 public:
    explicit Sender(const SenderOptions& options);

    void push(MessageRef message);
    /// Whether fill() would add anything now.
    bool ready(TimePoint now);
    /// Adds chunks to a packet while they fit and may go. False: nothing.
    bool fill(PacketBuilder& packet, TimePoint now);
    /// The value of a FORWARD TSN chunk that must go out now, once.
    std::optional<Bytes> take_forward_tsn(TimePoint now);

    void on_sack(const SackChunk& sack, TimePoint now);
    /// False: T3-rtx expired, which counts against the peer.
    bool handle_timeout(TimePoint now);
    /// The peer is reached by another path from now on. Where nothing came through any more, what
    /// waits for a long timeout goes out at the next one, which is now.
    void on_new_path(TimePoint now);
    std::optional<TimePoint> next_timeout() const;

    /// Taken by push(), and neither cumulatively acknowledged nor given up.
    std::size_t buffered_bytes() const { return buffered_bytes_; }
    std::size_t buffered_messages() const { return buffered_messages_; }
    std::size_t capacity_bytes() const { return window_.bytes(); }
    /// The buffer was full when there was more to send.
    void on_buffer_limited() { window_.on_limited(); }
    std::uint64_t take_retransmitted_bytes() { return std::exchange(retransmitted_bytes_, 0); }
    bool idle() const { return outstanding_.empty() && queues_.empty(); }

    Tsn next_tsn() const { return outstanding_.next_tsn(); }
    Tsn cumulative() const { return outstanding_.cumulative(); }
    bool has_queued(std::uint16_t stream) const { return queues_.has(stream); }
    void reset_stream(std::uint16_t stream) { queues_.reset_stream(stream); }
    Duration retransmission_timeout() const { return round_trip_.timeout(); }
    std::optional<Duration> shortest_round_trip() const { return round_trip_.shortest(); }
    std::size_t congestion_window_bytes() const { return congestion_.window_bytes(); }

 private:
    bool may_send(std::size_t bytes, TimePoint now);
    bool is_over(const OutMessage& message, TimePoint now) const;
    void drop_expired(TimePoint now);
    bool fill_lost(PacketBuilder& packet, TimePoint now, bool& added);
    void fill_new(PacketBuilder& packet, TimePoint now, bool& added);
    void write(PacketBuilder& packet, Tsn tsn, bool immediate);
    void give_up(Tsn tsn);
    void find_losses(TimePoint now);
    void restart_timers(TimePoint now);

    const SenderOptions options_;
    StreamQueues queues_;
    Outstanding outstanding_;
    RoundTrip round_trip_;
    Cubic congestion_;
    FlightCap flight_cap_;
    Pacer pacer_;
    SendWindow window_;
    std::uint64_t next_order_ = 1;
    std::size_t peer_window_bytes_;
    /// By the congestion window, when something could last not go. Not where a turn ended first.
    bool limited_ = false;
    std::optional<TimePoint> paced_until_;  ///< there is more to send then
    bool probing_ = false;                  ///< the next packet asks for an answer at once
    std::size_t buffered_bytes_ = 0;
    std::size_t buffered_messages_ = 0;
    std::uint64_t retransmitted_bytes_ = 0;
    bool retransmitted_ever_ = false;
    std::vector<MessageRef> undated_;  ///< with a lifetime that begins at the next fill()

    std::optional<TimePoint> t3_;
    std::optional<TimePoint> probe_;  ///< once between two answers of the peer
    std::optional<TimePoint> last_sent_;
    Tsn told_point_ = 0;  ///< of the last FORWARD TSN
};

}  // namespace kollator::rtc::sctp
