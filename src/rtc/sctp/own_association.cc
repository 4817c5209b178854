#include "rtc/sctp/own_association.h"

#include <algorithm>
#include <utility>

namespace kollator::rtc {
namespace {

/// Of anything in a row without an answer; then the peer is gone. RFC 9260 16:
/// Association.Max.Retrans.
constexpr int kMaxErrors = 10;
/// RFC 9260 16: HB.interval. ICE's consent checks tell sooner whether the path lives.
constexpr Duration kHeartbeatInterval = std::chrono::seconds(30);
/// A queued message costs some 200 bytes beside its payload: tiny ones may hold 1 MB at most.
constexpr std::size_t kMaxQueuedMessages = 4096;
/// Room that is worth telling of, where that is less than half of the buffer. Half of a large one
/// would come free once in a round trip, since what was written last fills the other, and half of
/// the path would be empty.
constexpr std::size_t kMostRefillBytes = 256 * 1024;
/// What waits to be answered; a peer that asks for more meanwhile asks again.
constexpr std::size_t kMaxControls = 64;
/// Packets in one turn; then the other connections have theirs. Two of UdpSocket's runs.
constexpr int kMaxPacketsAtOnce = 64;

}  // namespace

OwnAssociation::OwnAssociation(OwnSctpStack& stack, const SctpOptions& options,
                               SctpObserver& observer)
    : stack_(stack), options_(options), observer_(observer) {
    least_window_bytes_ = std::max(options.receive_buffer_bytes, 2 * options.max_message_bytes);
    window_bytes_ = least_window_bytes_;
    stack_.add_association(*this);
}

OwnAssociation::~OwnAssociation() {
    inbox_bytes_ = 0;
    release();
    stack_.remove_association(*this);
}

/// What only a living association needs.
void OwnAssociation::release() {
    stack_.deadlines().remove(*this, listed_at_);
    if (std::exchange(held_, false)) stack_.drop_hold(*this);
    sender_.reset();
    receiver_.reset();
    controls_ = {};
    more_to_send_ = false;
    stack_.budget().change_promise(window_bytes_, least_window_bytes_);
    window_bytes_ = least_window_bytes_;
    account();
}

void OwnAssociation::abort() {
    if (state_ != State::kClosed && peer_.tag != 0) {
        Bytes cause;
        sctp::append_parameter(cause, sctp::error_cause::kUserAbort, {});
        send_single(peer_.tag, sctp::chunk_type::kAbort, cause);
    }
    aborted_ = true;
    state_ = State::kClosed;
    inbox_.clear();
    inbox_bytes_ = 0;
    release();
}

void OwnAssociation::violate(const std::string& what) {
    Bytes cause;
    sctp::append_parameter(cause, sctp::error_cause::kProtocolViolation, as_bytes(what));
    send_single(peer_.tag, sctp::chunk_type::kAbort, cause);
    lose(what);
}

void OwnAssociation::lose(std::string reason) {
    if (state_ == State::kClosed) return;
    if (receiver_) push_messages();
    state_ = State::kClosed;
    close_reason_ = std::move(reason);
    push(EventKind::kClosed, 0);
    release();
}

// ---------------------------------------------------------------------------------------------
// The owner's side

bool OwnAssociation::wants_poll() const {
    return (!inbox_.empty() && reading_) || told_pending_ || more_to_send_ || !controls_.empty() ||
           (receiver_ && receiver_->policy().due());
}

void OwnAssociation::poll(TimePoint now) {
    if (in_poll_) return;
    in_poll_ = true;
    told_pending_ = false;
    if (reading_) {
        deliver_inbox();
        account();
    }
    if (check_space()) {
        awaits_space_ = false;
        wanted_bytes_ = 0;
        observer_.on_sctp_writable();
    }
    update_streams(now);
    if (receiver_) {
        adjust_window(now);
        receiver_->check_window(receive_load());
    }
    transmit(now);
    reschedule();
    in_poll_ = false;
}

void OwnAssociation::set_reading(bool on) {
    reading_ = on;
    if (on && !inbox_.empty()) ask_for_poll();
}

void OwnAssociation::deliver_inbox() {
    // Callbacks may call back, abort() included, which empties the inbox: this batch is our own.
    delivering_.swap(inbox_);
    inbox_bytes_ = 0;
    std::size_t next = 0;
    while (next < delivering_.size() && reading_ && !aborted_) deliver(delivering_[next++]);
    if (!aborted_ && next < delivering_.size()) {
        // Nobody reads any more: the rest goes back to where it was, before what came meanwhile.
        const auto rest = delivering_.begin() + static_cast<std::ptrdiff_t>(next);
        for (auto each = rest; each != delivering_.end(); ++each) {
            stack_.buffers().fit(each->message.bytes);
            inbox_bytes_ += kEventBytes + each->message.bytes.size();
        }
        inbox_.insert(inbox_.begin(), std::make_move_iterator(rest),
                      std::make_move_iterator(delivering_.end()));
    }
    delivering_.clear();
    if (delivering_.capacity() > 64) delivering_.shrink_to_fit();
}

void OwnAssociation::deliver(Event& event) {
    switch (event.kind) {
        case EventKind::kConnected:
            observer_.on_sctp_connected();
            break;
        case EventKind::kMessage:
            observer_.on_sctp_message(event.message.stream, event.message.ppid,
                                      event.message.bytes);
            stack_.buffers().give_back(std::move(event.message.bytes));
            break;
        case EventKind::kReset:
            observer_.on_sctp_stream_reset(event.message.stream);
            break;
        case EventKind::kResetDone:
            observer_.on_sctp_stream_reset_done(event.message.stream);
            break;
        case EventKind::kClosed:
            observer_.on_sctp_closed(close_reason_);
            break;
    }
}

Status OwnAssociation::send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) {
    if (Status good = admit(options, head.size() + body.size()); !good.ok()) return good;
    MessageBlock message = make_message_block(head, body);
    push_out(options, message);
    return {};
}

Status OwnAssociation::give(const SctpSendOptions& options, MessageBlock& message) {
    if (Status good = admit(options, message.size_bytes()); !good.ok()) return good;
    push_out(options, message);
    return {};
}

/// Whether a message of that size can be taken now; where it cannot for want of room, on_writable
/// follows.
Status OwnAssociation::admit(const SctpSendOptions& options, std::size_t size) {
    if (state_ != State::kConnected || shutdown_received_) {
        return make_error(ErrorCode::kCancelled, "sctp: not connected");
    }
    if (size == 0 || size > sender_->capacity_bytes() || options.stream >= outgoing_streams_) {
        return make_error(ErrorCode::kInvalid, "sctp: no such message or stream");
    }
    if (!has_room(size) || sender_->buffered_messages() >= kMaxQueuedMessages) {
        awaits_space_ = true;
        wanted_bytes_ = std::max(wanted_bytes_, size);
        return make_error(ErrorCode::kLimit, "sctp: the send buffer is full");
    }
    if (outgoing_resets_->is_resetting(options.stream)) {
        awaits_space_ = true;
        return make_error(ErrorCode::kLimit, "sctp: the stream is being reset");
    }
    return {};
}

void OwnAssociation::push_out(const SctpSendOptions& options, MessageBlock& block) {
    sctp::MessageRef message(new sctp::OutMessage);
    message->ppid = options.ppid;
    message->stream = options.stream;
    message->ordered = options.ordered;
    message->max_retransmits = options.max_retransmits;
    if (options.max_retransmits < 0) message->max_lifetime_ms = options.max_lifetime_ms;
    message->size_bytes = static_cast<std::uint32_t>(block.size_bytes());
    message->block = std::move(block);
    sender_->push(std::move(message));
    account();
    ask_for_poll();
}

void OwnAssociation::reset_stream(std::uint16_t stream) {
    if (state_ != State::kConnected || outgoing_resets_->is_resetting(stream)) return;
    if (peer_.reconfig && stream < outgoing_streams_) {
        outgoing_resets_->want(stream);
    } else {
        push(EventKind::kResetDone, stream);
    }
    ask_for_poll();
}

void OwnAssociation::resume() {
    held_ = false;
    ask_for_poll();
}

void OwnAssociation::ask_for_poll() {
    if (!in_poll_ && !std::exchange(told_pending_, true)) observer_.on_sctp_pending();
}

bool OwnAssociation::has_room(std::size_t size_bytes) const {
    const std::size_t buffered = sender_->buffered_bytes();
    // Who has something in flight is told by its acknowledgement when there is room again; who has
    // nothing could wait for ever, and is let through.
    if (stack_.budget().over_budget() && buffered > 0) return false;
    return buffered + size_bytes <= sender_->capacity_bytes();
}

/// Whether there is now the room that send() had not.
bool OwnAssociation::check_space() {
    if (!awaits_space_ || state_ != State::kConnected) return false;
    const std::size_t refill = std::min(sender_->capacity_bytes() / 2, kMostRefillBytes);
    const std::size_t needed = std::max(refill, wanted_bytes_);
    return has_room(needed) && sender_->buffered_messages() <= kMaxQueuedMessages / 2;
}

std::size_t OwnAssociation::buffered_bytes() const {
    return sender_ ? sender_->buffered_bytes() : 0;
}

std::size_t OwnAssociation::writable_bytes() const {
    if (state_ != State::kConnected || !has_room(0)) return 0;
    return sender_->capacity_bytes() -
           std::min(sender_->buffered_bytes(), sender_->capacity_bytes());
}

void OwnAssociation::push(EventKind kind, std::uint16_t stream) {
    Event event{kind, {}};
    event.message.stream = stream;
    inbox_bytes_ += kEventBytes;
    inbox_.push_back(std::move(event));
}

// ---------------------------------------------------------------------------------------------
// Packets out

sctp::CommonHeader OwnAssociation::header_to(std::uint32_t tag) const {
    return {options_.local_port, options_.remote_port, tag};
}

void OwnAssociation::send_single(std::uint32_t tag, std::uint8_t type, ByteSpan value) {
    sctp::PacketBuilder& packet = stack_.builder(options_.mtu_bytes);
    packet.begin(header_to(tag));
    packet.add(type, 0, value);
    // RFC 9653 5.2: with INIT never without a checksum; with other chunks that set up or end, why.
    observer_.on_sctp_packet(packet.finish(sctp::Checksum::kCrc32c));
}

void OwnAssociation::push_control(std::uint8_t type, Bytes value) {
    // A peer's heartbeat may be larger than what we send, and its requests more than we can answer
    // in one packet: such an answer would wait for ever, and all else behind it.
    const std::size_t largest =
        options_.mtu_bytes / 4 * 4 - sctp::kCommonHeaderBytes - sctp::kChunkHeaderBytes;
    if (value.size() > largest || controls_.size() >= kMaxControls) return;
    controls_.push_back({type, std::move(value)});
}

void OwnAssociation::push_error(std::uint16_t cause, ByteSpan value) {
    Bytes out;
    sctp::append_parameter(out, cause, value);
    push_control(sctp::chunk_type::kError, std::move(out));
}

/// Resets that are due, and the answer to a SHUTDOWN.
void OwnAssociation::update_streams(TimePoint now) {
    if (state_ != State::kConnected) return;
    if (!outgoing_resets_->empty()) {
        if (auto request = outgoing_resets_->poll(
                now, sender_->retransmission_timeout(), sender_->next_tsn(), sender_->cumulative(),
                [this](std::uint16_t stream) { return sender_->has_queued(stream); })) {
            request->answers_sequence = incoming_resets_->last_sequence();
            Bytes value;
            sctp::append_reconfig(value, *request);
            push_control(sctp::chunk_type::kReconfig, std::move(value));
        }
    }
    if (shutdown_received_ && sender_->idle()) {
        // RFC 9260 9.2: "Once all outstanding data has been acknowledged". We wait for nothing
        // more.
        send_single(peer_.tag, sctp::chunk_type::kShutdownAck, {});
        lose("peer closed");
    }
}

void OwnAssociation::transmit(TimePoint now) {
    if (state_ != State::kConnected) return;
    if (auto value = sender_->take_forward_tsn(now)) {
        push_control(sctp::chunk_type::kForwardTsn, std::move(*value));
    }
    sctp::PacketBuilder& packet = stack_.builder(options_.mtu_bytes);
    more_to_send_ = true;
    for (int i = 0; i < kMaxPacketsAtOnce; ++i) {
        packet.begin(header_to(peer_.tag));
        more_to_send_ = fill(packet, now);
        if (!more_to_send_) break;
        emit(packet);
        if (auto value = sender_->take_forward_tsn(now)) {
            push_control(sctp::chunk_type::kForwardTsn, std::move(*value));
        }
    }
    stack_.budget().add_retransmitted(sender_->take_retransmitted_bytes());
    account();
}

bool OwnAssociation::fill(sctp::PacketBuilder& packet, TimePoint now) {
    std::size_t taken = 0;
    for (; taken < controls_.size(); ++taken) {
        const Control& control = controls_[taken];
        if (control.value.size() > packet.room()) break;
        packet.add(control.type, 0, control.value);
    }
    controls_.erase(controls_.begin(), controls_.begin() + static_cast<std::ptrdiff_t>(taken));
    const bool wanted = controls_.empty() && sender_->ready(now);
    const bool data = wanted && stack_.output();
    if (wanted && !data && !std::exchange(held_, true)) stack_.hold(*this);
    const bool sack = receiver_->policy().due() || (data && receiver_->policy().owed());
    if (sack && (packet.empty() || receiver_->fits_sack(packet))) {
        receiver_->write_sack(packet, receive_load());
    }
    if (data) sender_->fill(packet, now);
    return !packet.empty();
}

void OwnAssociation::emit(sctp::PacketBuilder& packet) {
    observer_.on_sctp_packet(
        packet.finish(checksum_free_ ? sctp::Checksum::kZero : sctp::Checksum::kCrc32c));
}

// ---------------------------------------------------------------------------------------------
// Time

std::optional<TimePoint> OwnAssociation::next_deadline() const {
    if (state_ == State::kClosed) return std::nullopt;
    if (state_ != State::kConnected) return handshake_deadline_;
    TimePoint next = heard_ + kHeartbeatInterval;
    if (heartbeat_sent_) next = *heartbeat_sent_ + kHeartbeatInterval;
    for (const auto& each :
         {sender_->next_timeout(), receiver_->policy().deadline(), outgoing_resets_->deadline()}) {
        if (each && *each < next) next = *each;
    }
    return next;
}

void OwnAssociation::reschedule() {
    stack_.deadlines().want(*this, listed_at_, next_deadline());
}

void OwnAssociation::on_new_path(TimePoint now) {
    if (state_ != State::kConnected) return;
    sender_->on_new_path(now);
    reschedule();
}

void OwnAssociation::handle_timeout(TimePoint now) {
    stack_.deadlines().remove(*this, listed_at_);
    if (state_ == State::kConnected) {
        if (!sender_->handle_timeout(now)) count_error();
        if (state_ != State::kConnected) return;
        receiver_->policy().on_timeout(now);
        adjust_window(now);
        heartbeat(now);
        if (state_ != State::kConnected) return;
        update_streams(now);
        if (state_ == State::kConnected && outgoing_resets_->tries() > kMaxErrors) count_error();
        transmit(now);
    } else {
        handle_handshake_timeout(now);
    }
    if (wants_poll()) ask_for_poll();
    reschedule();
}

/// RFC 9260 8.3.
void OwnAssociation::heartbeat(TimePoint now) {
    const TimePoint due = heartbeat_sent_.value_or(heard_) + kHeartbeatInterval;
    if (now < due) return;
    if (heartbeat_sent_) count_error();
    if (state_ != State::kConnected) return;
    heartbeat_sent_ = now;
    Bytes value;
    sctp::append_parameter(value, 1, as_bytes("kollator"));
    push_control(sctp::chunk_type::kHeartbeat, std::move(value));
}

void OwnAssociation::count_error() {
    if (++errors_ <= kMaxErrors) return;
    send_single(peer_.tag, sctp::chunk_type::kAbort, {});
    lose("sctp timed out");
}

}  // namespace kollator::rtc
