#include "rtc/sctp/tx/sender.h"

#include <algorithm>

#include "rtc/sctp/packet/data_chunk.h"

namespace kollator::rtc::sctp {
namespace {

/// A fragment is not made smaller than that to fill a packet up.
constexpr std::size_t kLeastFragmentBytes = 512;

/// Round trips of data that the send buffer holds (SendWindow).
constexpr int kWindowFactor = 3;

/// RFC 8985 7.2: two round trips, and what a peer may take to answer.
constexpr Duration kLeastProbe = std::chrono::milliseconds(10);
// RFC 9260 6.2: peers hold an acknowledgement back for as long.
constexpr Duration kDelayedAnswer = std::chrono::milliseconds(200);

/// What goes faster than a window each round trip: in slow start the window doubles in it, and else
/// a late timer must be made up for.
constexpr double kStartMargin = 2;
constexpr double kMargin = 1.25;

}  // namespace

Sender::Sender(const SenderOptions& options)
    : options_(options),
      outstanding_(options.first_tsn),
      congestion_(options.mtu_bytes, options.tolerance),
      window_(options.buffer_bytes, options.max_buffer_bytes, kWindowFactor),
      peer_window_bytes_(options.peer_window_bytes),
      told_point_(outstanding_.cumulative()) {}

void Sender::push(MessageRef message) {
    buffered_bytes_ += message->size_bytes;
    ++buffered_messages_;
    if (message->max_lifetime_ms >= 0 && options_.peer_takes_forward_tsn) {
        undated_.push_back(message);
    }
    queues_.push(std::move(message));
}

// ---------------------------------------------------------------------------------------------
// Making packets

bool Sender::may_send(std::size_t bytes, TimePoint now) {
    const std::size_t in_flight = outstanding_.in_flight_bytes();
    // RFC 9260 6.1, A: "regardless of the value of rwnd ... the data sender can always have one
    // DATA chunk in flight".
    if (in_flight == 0) return true;
    const std::size_t cap = flight_cap_.bytes();
    if (in_flight + bytes > peer_window_bytes_ || (cap != 0 && in_flight >= cap)) {
        limited_ = false;
        return false;
    }
    // 6.1, B: "MUST NOT transmit new data ... if ... cwnd or more bytes of data outstanding".
    if (in_flight >= congestion_.window_bytes()) {
        limited_ = true;
        return false;
    }
    if (pacer_.may_send(now)) return true;
    // RFC 9002 7.8: not limited by the application where the window would be full without pacing.
    limited_ = buffered_bytes_ >= congestion_.window_bytes();
    paced_until_ = pacer_.next_time();
    return false;
}

bool Sender::ready(TimePoint now) {
    paced_until_.reset();
    if (const auto tsn = outstanding_.next_lost()) {
        return may_send(outstanding_.chunk(*tsn).size_bytes, now);
    }
    return !queues_.empty() && may_send(std::min(queues_.next_bytes(), kLeastFragmentBytes), now);
}

bool Sender::fill(PacketBuilder& packet, TimePoint now) {
    for (const MessageRef& message : std::exchange(undated_, {})) {
        message->expires = now + std::chrono::milliseconds(message->max_lifetime_ms);
    }
    if (outstanding_.in_flight_bytes() == 0 && last_sent_ &&
        now - *last_sent_ > round_trip_.timeout()) {
        congestion_.on_idle();
    }
    bool added = false;
    if (fill_lost(packet, now, added)) fill_new(packet, now, added);
    if (!added) return false;
    ++next_order_;
    last_sent_ = now;
    probing_ = false;
    if (!t3_) t3_ = now + round_trip_.timeout();
    const auto smoothed = round_trip_.smoothed();
    if (smoothed && probe_ != TimePoint::max()) probe_ = now + std::max(2 * *smoothed, kLeastProbe);
    return true;
}

/// What goes out again, before anything new. False: there is more of it, for the next packet.
bool Sender::fill_lost(PacketBuilder& packet, TimePoint now, bool& added) {
    while (const auto tsn = outstanding_.next_lost()) {
        const Outstanding::Chunk& chunk = outstanding_.chunk(*tsn);
        const OutMessage& message = *chunk.message;
        if (options_.peer_takes_forward_tsn &&
            (is_over(message, now) ||
             (message.max_retransmits >= 0 && chunk.retransmits >= message.max_retransmits))) {
            give_up(*tsn);
            continue;
        }
        if (DataChunk::kHeaderBytes + chunk.size_bytes > packet.room()) return false;
        if (!may_send(chunk.size_bytes, now)) return false;
        outstanding_.resend(*tsn, now, next_order_);
        retransmitted_bytes_ += chunk.size_bytes;
        retransmitted_ever_ = true;
        write(packet, *tsn, probing_);
        added = true;
    }
    return true;
}

void Sender::fill_new(PacketBuilder& packet, TimePoint now, bool& added) {
    for (drop_expired(now); !queues_.empty(); drop_expired(now)) {
        const std::size_t room = packet.room();
        const std::size_t next = queues_.next_bytes();
        if (room < DataChunk::kHeaderBytes + std::min(next, kLeastFragmentBytes)) return;
        const std::size_t size = std::min(next, room - DataChunk::kHeaderBytes);
        if (!may_send(size, now)) return;
        const Tsn tsn = outstanding_.add(queues_.cut(size), now, next_order_);
        // RFC 7053: nothing follows for now, so the peer need not wait for it.
        write(packet, tsn, queues_.empty());
        added = true;
    }
    limited_ = false;
}

void Sender::write(PacketBuilder& packet, Tsn tsn, bool immediate) {
    const Outstanding::Chunk& chunk = outstanding_.chunk(tsn);
    const OutMessage& message = *chunk.message;
    DataChunk data;
    data.flags = static_cast<std::uint8_t>(
        (chunk.offset == 0 ? DataChunk::kBegin : 0) | (chunk.ends ? DataChunk::kEnd : 0) |
        (message.ordered ? 0 : DataChunk::kUnordered) | (immediate ? DataChunk::kImmediate : 0));
    data.tsn = static_cast<std::uint32_t>(tsn);
    data.stream = message.stream;
    data.ssn = message.ssn;
    data.ppid = message.ppid;
    const MutableByteSpan to =
        packet.add(chunk_type::kData, data.flags, DataChunk::kHeaderBytes + chunk.size_bytes);
    write_data_header(to.data(), data);
    message.block.copy(chunk.offset, to.subspan(DataChunk::kHeaderBytes));
    pacer_.on_sent(chunk.size_bytes);
}

// ---------------------------------------------------------------------------------------------
// Partial reliability

bool Sender::is_over(const OutMessage& message, TimePoint now) const {
    return message.abandoned || (message.expires && *message.expires <= now);
}

/// Messages whose time has passed before any of them was sent leave no trace (RFC 3758 4.1).
void Sender::drop_expired(TimePoint now) {
    while (!queues_.empty() && queues_.next_message().sent_bytes == 0 &&
           is_over(queues_.next_message(), now)) {
        buffered_bytes_ -= queues_.drop_next()->size_bytes;
        --buffered_messages_;
    }
}

void Sender::give_up(Tsn tsn) {
    const MessageRef message = outstanding_.chunk(tsn).message;
    outstanding_.abandon(tsn);
    message->abandoned = true;
    const std::uint32_t unsent = message->size_bytes - message->sent_bytes;
    if (unsent == 0) return;
    queues_.drop(*message);
    message->sent_bytes = message->size_bytes;  // or so much as ever will be
    message->ended_bytes += unsent;
    buffered_bytes_ -= unsent;
}

std::optional<Bytes> Sender::take_forward_tsn(TimePoint now) {
    const Tsn point = outstanding_.advanced_point();
    if (point <= outstanding_.cumulative() || point == told_point_) return std::nullopt;
    told_point_ = point;
    // RFC 3758 3.5, C4 and 3.3.1: T3-rtx runs until it is acknowledged.
    if (!t3_) t3_ = now + round_trip_.timeout();
    return outstanding_.forward_tsn_value(point);
}

// ---------------------------------------------------------------------------------------------
// What comes back, and time

void Sender::on_sack(const SackChunk& sack, TimePoint now) {
    const std::size_t in_flight = outstanding_.in_flight_bytes();
    const Outstanding::Acknowledged told = outstanding_.on_sack(sack, now, round_trip_);
    if (told.stale) return;
    peer_window_bytes_ = sack.window_bytes();
    buffered_bytes_ -= told.freed_bytes;
    buffered_messages_ -= told.freed_messages;
    if (told.round_trip) round_trip_.sample(*told.round_trip);
    if (sack.duplicate_count() > 0 && retransmitted_ever_) outstanding_.on_spurious();
    if (told.bytes > 0 || told.cumulative) {
        round_trip_.relax();
        CongestionControl::Acknowledged acknowledged;
        acknowledged.now = now;
        acknowledged.bytes = told.bytes;
        acknowledged.newest_order = outstanding_.newest_acknowledged();
        acknowledged.next_order = next_order_;
        acknowledged.limited = limited_ && in_flight > 0;
        acknowledged.round_trip = told.round_trip;
        acknowledged.shortest_round_trip = round_trip_.shortest();
        congestion_.on_acknowledged(acknowledged);
        window_.on_acknowledged(now, told.bytes, told.round_trip);
        flight_cap_.on_acknowledged(told.bytes, window_.shortest_round_trip());
        restart_timers(now);
    }
    find_losses(now);
    pacer_.set_rate(now, congestion_.window_bytes(), round_trip_.smoothed(),
                    congestion_.in_slow_start() ? kStartMargin : kMargin);
}

/// RFC 9260 6.3.2, R2 and R3.
void Sender::restart_timers(TimePoint now) {
    t3_.reset();
    probe_.reset();
    const bool unanswered =
        !outstanding_.empty() || outstanding_.advanced_point() > outstanding_.cumulative();
    if (unanswered) t3_ = now + round_trip_.timeout();
    const auto smoothed = round_trip_.smoothed();
    if (outstanding_.anything_in_flight() && smoothed) {
        probe_ = now + std::max(2 * *smoothed, kLeastProbe);
    }
}

void Sender::find_losses(TimePoint now) {
    const std::size_t in_flight = outstanding_.in_flight_bytes();
    const Outstanding::Losses losses = outstanding_.detect(now, round_trip_);
    if (losses.bytes == 0) return;
    congestion_.on_lost({now, losses.bytes, losses.newest_order, next_order_});
    flight_cap_.on_loss(in_flight);
}

std::optional<TimePoint> Sender::next_timeout() const {
    std::optional<TimePoint> next = t3_;
    for (const auto& each : {probe_, outstanding_.deadline(), paced_until_}) {
        if (each && *each != TimePoint::max() && (!next || *each < *next)) next = each;
    }
    return next;
}

bool Sender::handle_timeout(TimePoint now) {
    if (outstanding_.deadline() && *outstanding_.deadline() <= now) find_losses(now);
    if (t3_ && *t3_ <= now) {
        // RFC 9260 6.3.3. A peer whose window is shut has lost nothing to congestion.
        if (peer_window_bytes_ >= options_.mtu_bytes) congestion_.on_timeout(now);
        flight_cap_.on_loss(outstanding_.in_flight_bytes());
        outstanding_.lose_all(round_trip_.backed_off());
        round_trip_.back_off();
        told_point_ = outstanding_.cumulative();
        probe_.reset();
        t3_.reset();
        if (!idle()) t3_ = now + round_trip_.timeout();
        return false;
    }
    if (probe_ && *probe_ <= now) {
        probe_ = TimePoint::max();  // no other before the peer answered
        probing_ = outstanding_.lose_newest();
    }
    return true;
}

// RFC 9260 6.3: "Each destination transport address has its own RTO": what was doubled is the old
// path's.
void Sender::on_new_path(TimePoint now) {
    if (!t3_) return;
    // On a path that works T3-rtx begins anew with each answer.
    const Duration unanswered = round_trip_.timeout() - (*t3_ - now);
    const Duration usual = 2 * round_trip_.smoothed().value_or(Duration::zero());
    if (!round_trip_.backed_off() && unanswered < std::max(usual, kDelayedAnswer)) return;
    round_trip_.relax();
    t3_ = now;
}

}  // namespace kollator::rtc::sctp
