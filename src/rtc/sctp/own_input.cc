// What a peer's packet does, chunk by chunk.
#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "rtc/sctp/own_association.h"
#include "rtc/sctp/packet/error_cause.h"

namespace kollator::rtc {

using sctp::Chunk;
namespace chunk_type = sctp::chunk_type;

namespace {

const log::Logger kLog("rtc");

/// RFC 6525 3.1: two parameters are the most that a RE-CONFIG chunk has.
constexpr int kMaxReconfigParameters = 2;
/// In a packet: a request (5.1.1: one at a time) and the answer to ours, if not in one chunk. A
/// request of 20 bytes may reset all streams.
constexpr int kMaxReconfigChunks = 2;
/// Unread messages of a turn that are not moved into buffers of their size.
constexpr std::size_t kMostUnfitBytes = 256 * 1024;

}  // namespace

void OwnAssociation::handle_packet(ByteSpan packet, TimePoint now) {
    if (state_ == State::kClosed) return;
    const auto header = sctp::take_common_header(packet);
    if (!header || header->destination_port != options_.local_port ||
        header->source_port != options_.remote_port) {
        return;
    }
    // DEVIATION from RFC 9260 6.8: the checksum is not looked at. DTLS has verified the packet, and
    // with RFC 9653 peers leave it out.
    bool first = true;
    bool data = false;
    reconfigs_ = 0;
    ByteSpan sack;
    while (const auto chunk = sctp::take_chunk(packet)) {
        // An owner that feeds without poll() is stopped here: the peer sends again what is dropped.
        if (inbox_bytes_ > 2 * (window_bytes_ + options_.max_message_bytes)) break;
        if (std::exchange(first, false) && !accepts_tag(*header, *chunk)) return;
        // RFC 9260 6.10: "INIT, INIT ACK, and SHUTDOWN COMPLETE chunks, which MUST NOT be bundled".
        heard_ = now;
        if (!handle_chunk(*chunk, now)) break;
        if (state_ == State::kClosed) return;
        data = data || chunk->type == chunk_type::kData;
        if (chunk->type == chunk_type::kSack) sack = chunk->value;
    }
    // A packet has one SACK. Of more, the last one says all; each by itself may walk through all
    // that is outstanding, where they list gaps by turns.
    if (state_ == State::kConnected && !sack.empty()) handle_sack(sack, now);
    if (data && receiver_) {
        push_messages();
        if (receiver_->end_packet(now, sender_->shortest_round_trip())) transmit(now);
        adjust_window(now);
        Bytes answers;
        finish_resets(incoming_resets_->on_progress(receiver_->cumulative()), answers);
        push_reconfig(std::move(answers));
    }
    reschedule();
    account();
    stack_.relieve();
}

bool OwnAssociation::accepts_tag(const sctp::CommonHeader& header, const Chunk& first) const {
    // RFC 9260 8.5.1, A: a packet with INIT has tag 0.
    if (first.type == chunk_type::kInit) return header.tag == 0;
    // B, C: ABORT and SHUTDOWN COMPLETE with the T bit have the peer's own tag.
    const bool reflected = (first.flags & 1) != 0 && (first.type == chunk_type::kAbort ||
                                                      first.type == chunk_type::kShutdownComplete);
    if (reflected && peer_.tag != 0) return header.tag == peer_.tag;
    return local_tag_ != 0 && header.tag == local_tag_;
}

bool OwnAssociation::handle_chunk(const Chunk& chunk, TimePoint now) {
    switch (chunk.type) {
        case chunk_type::kInit:
            handle_init(chunk);
            return false;
        case chunk_type::kInitAck:
            handle_init_ack(chunk, now);
            return false;
        case chunk_type::kCookieEcho:
            handle_cookie_echo(chunk, now);
            return state_ == State::kConnected;
        case chunk_type::kCookieAck:
            if (state_ == State::kCookieEchoed) establish(sctp::InitChunk(peer_), now);
            return state_ == State::kConnected;
        case chunk_type::kAbort:
            handle_abort(chunk);
            return false;
        case chunk_type::kShutdownComplete:
            lose("peer closed");
            return false;
        default:
            return state_ == State::kConnected && handle_connected_chunk(chunk, now);
    }
}

bool OwnAssociation::handle_connected_chunk(const Chunk& chunk, TimePoint now) {
    switch (chunk.type) {
        case chunk_type::kData:
            handle_data(chunk);
            return true;
        case chunk_type::kSack:
            return true;  // handle_packet() takes the last one
        case chunk_type::kHeartbeat:
            push_control(chunk_type::kHeartbeatAck, {chunk.value.begin(), chunk.value.end()});
            return true;
        case chunk_type::kHeartbeatAck:
            heartbeat_sent_.reset();
            errors_ = 0;
            return true;
        case chunk_type::kError:
            // Nothing in it that we could mend.
            kLog.debug("event=sctp-error cause=\"{}\"",
                       sctp::cause_name(sctp::first_cause(chunk.value).value_or(0)));
            return true;
        case chunk_type::kShutdown:
            handle_shutdown(chunk);
            return true;
        case chunk_type::kShutdownAck:
            // RFC 9260 8.4, 5: of an association that we know nothing of.
            push_control(chunk_type::kShutdownComplete, {});
            return true;
        case chunk_type::kForwardTsn:
            handle_forward_tsn(chunk);
            return true;
        case chunk_type::kReconfig:
            handle_reconfig(chunk, now);
            return true;
        default:
            return handle_unknown_chunk(chunk);
    }
}

bool OwnAssociation::handle_unknown_chunk(const Chunk& chunk) {
    if (sctp::must_report(chunk.type)) {
        // RFC 9260 3.3.10.6: the chunk as it came; its beginning tells as much.
        constexpr std::size_t kReportedBytes = 64;
        Bytes whole = {chunk.type, chunk.flags, 0, 0};
        store_u16(whole.data() + 2, static_cast<std::uint16_t>(4 + chunk.value.size()));
        const ByteSpan told = chunk.value.first(std::min(chunk.value.size(), kReportedBytes));
        whole.insert(whole.end(), told.begin(), told.end());
        push_error(sctp::error_cause::kUnrecognizedChunk, whole);
    }
    return sctp::must_skip(chunk.type);
}

void OwnAssociation::handle_abort(const Chunk& chunk) {
    const auto cause = sctp::first_cause(chunk.value);
    if (!cause || *cause == sctp::error_cause::kUserAbort) return lose("peer closed");
    lose("peer aborted: " + std::string(sctp::cause_name(*cause)));
}

void OwnAssociation::handle_data(const Chunk& chunk) {
    const auto data = sctp::parse_data(chunk);
    if (!data) return violate("sctp: a DATA chunk is too short");
    std::uint8_t stream[4] = {};
    switch (receiver_->on_data(*data, receive_load(), received_)) {
        case sctp::Receiver::Outcome::kOk:
            return;
        case sctp::Receiver::Outcome::kBadStream:
            store_u16(stream, data->stream);
            return push_error(sctp::error_cause::kInvalidStream, stream);
        case sctp::Receiver::Outcome::kEmpty:
            // RFC 9260 6.2: "MUST ... send an ABORT with a "No User Data" error cause".
            return violate("peer sent an empty message");
        case sctp::Receiver::Outcome::kTooLarge:
            push_messages();
            return violate("peer sent a message that is too large");
        case sctp::Receiver::Outcome::kViolation:
            return violate("peer mixed two messages up");
    }
}

void OwnAssociation::push_messages() {
    for (sctp::ReceivedMessage& message : received_) {
        // What poll() delivers at once may keep its buffer.
        if (!reading_ || inbox_bytes_ > kMostUnfitBytes) stack_.buffers().fit(message.bytes);
        inbox_bytes_ += message.bytes.size() + kEventBytes;
        inbox_.push_back({EventKind::kMessage, std::move(message)});
    }
    received_.clear();
}

void OwnAssociation::handle_sack(ByteSpan value, TimePoint now) {
    const auto sack = sctp::SackChunk::parse(value);
    if (!sack) return;
    errors_ = 0;
    if (awaits_space_) sender_->on_buffer_limited();
    sender_->on_sack(*sack, now);
    account();
}

void OwnAssociation::handle_forward_tsn(const Chunk& chunk) {
    const auto forward = sctp::ForwardTsnChunk::parse(chunk.value);
    if (!forward) return;
    push_messages();
    receiver_->on_forward_tsn(*forward, received_);
    push_messages();
}

void OwnAssociation::handle_shutdown(const Chunk& chunk) {
    if (chunk.value.size() < 4) return;
    shutdown_received_ = true;  // update_streams() answers once all of ours has arrived
}

// ---------------------------------------------------------------------------------------------
// RFC 6525

void OwnAssociation::handle_reconfig(const Chunk& chunk, TimePoint now) {
    if (++reconfigs_ > kMaxReconfigChunks) return;
    push_messages();
    Bytes answers;
    ByteSpan rest = chunk.value;
    for (int i = 0; i < kMaxReconfigParameters; ++i) {
        const auto parameter = sctp::take_reconfig(rest);
        if (!parameter) break;
        if (const auto* response = std::get_if<sctp::ReconfigResponse>(&*parameter)) {
            errors_ = 0;
            for (const std::uint16_t stream : outgoing_resets_->on_response(*response, now)) {
                sender_->reset_stream(stream);
                push(EventKind::kResetDone, stream);
            }
        } else if (const auto* ours = std::get_if<sctp::OutgoingResetRequest>(&*parameter)) {
            take(*ours, answers);
        } else if (const auto* theirs = std::get_if<sctp::IncomingResetRequest>(&*parameter)) {
            take(*theirs, answers);
        } else {
            take(std::get<sctp::OtherReconfigRequest>(*parameter), answers);
        }
    }
    push_reconfig(std::move(answers));
}

void OwnAssociation::take(const sctp::OutgoingResetRequest& request, Bytes& answers) {
    finish_resets(incoming_resets_->on_outgoing(request, receiver_->unwrap(request.last_tsn),
                                                receiver_->cumulative()),
                  answers);
}

void OwnAssociation::take(const sctp::IncomingResetRequest& request, Bytes& answers) {
    sctp::ReconfigResponse response;
    // What lists more than there is lists something twice.
    const bool sound = request.streams.size() <= outgoing_streams_;
    const auto result = sound ? sctp::ResetResult::kPerformed : sctp::ResetResult::kWrongSsn;
    if (incoming_resets_->on_other(request.sequence, result, response) && sound) {
        for (const std::uint16_t stream : request.streams) {
            if (stream < outgoing_streams_) outgoing_resets_->want(stream);
        }
    }
    sctp::append_reconfig(answers, response);
}

void OwnAssociation::take(const sctp::OtherReconfigRequest& request, Bytes& answers) {
    sctp::ReconfigResponse response;
    incoming_resets_->on_other(request.sequence, sctp::ResetResult::kDenied, response);
    sctp::append_reconfig(answers, response);
}

void OwnAssociation::finish_resets(sctp::IncomingResets::Verdict verdict, Bytes& answers) {
    // RFC 6525 4.1: "If no Stream Numbers are listed, all"; those that nothing came on are as new.
    if (verdict.all) verdict.reset = receiver_->used_streams();
    for (const std::uint16_t stream : verdict.reset) {
        receiver_->reset_stream(stream);
        push(EventKind::kReset, stream);
    }
    if (verdict.response) sctp::append_reconfig(answers, *verdict.response);
}

void OwnAssociation::push_reconfig(Bytes answers) {
    if (!answers.empty()) push_control(chunk_type::kReconfig, std::move(answers));
}

}  // namespace kollator::rtc
