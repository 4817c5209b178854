// RFC 9260 5: the four ways of setting an association up, most of all the one where both begin.
#include <algorithm>
#include <utility>

#include "rtc/sctp/own_association.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;

/// DTLS has just measured a round trip, but told nobody: RFC 9260 16 recommends 1 s.
constexpr Duration kFirstTimeout = milliseconds(500);
constexpr Duration kMostTimeout = std::chrono::seconds(10);
/// RFC 9260 16: Max.Init.Retransmits.
constexpr int kMaxTries = 8;

std::uint32_t as_u32(std::size_t bytes) {
    return static_cast<std::uint32_t>(bytes);
}

}  // namespace

void OwnAssociation::connect(TimePoint now) {
    if (state_ != State::kNew) return;
    if (local_tag_ == 0) draw_tags();
    state_ = State::kCookieWait;
    send_init();
    start_handshake_timer(now);
    reschedule();
}

void OwnAssociation::draw_tags() {
    do {
        local_tag_ = stack_.random().u32();
    } while (local_tag_ == 0);
    local_tsn_ = stack_.random().u32();
    secret_ = stack_.random().u64();
}

void OwnAssociation::start_handshake_timer(TimePoint now) {
    handshake_deadline_ = now + std::min(kFirstTimeout * (1 << handshake_tries_), kMostTimeout);
}

sctp::InitChunk OwnAssociation::own_init(bool zero_checksum) const {
    sctp::InitChunk init;
    init.tag = local_tag_;
    init.window_bytes = static_cast<std::uint32_t>(window_bytes_);
    init.outgoing_streams = init.incoming_streams = options_.max_streams;
    init.tsn = local_tsn_;
    init.forward_tsn = init.reconfig = true;
    init.zero_checksum = zero_checksum;
    return init;
}

void OwnAssociation::send_init() {
    // Pion up to 3.1 drops an INIT with a parameter that it does not know, in spite of RFC 9260
    // 3.2.1: without an answer the next one has none that is newer than WebRTC.
    const bool zero_checksum = handshake_tries_ == 0;
    // RFC 9260 8.5.1, A: "the Verification Tag field ... MUST be 0".
    send_single(0, sctp::chunk_type::kInit, sctp::build_init(own_init(zero_checksum)));
}

void OwnAssociation::send_cookie_echo() {
    send_single(peer_.tag, sctp::chunk_type::kCookieEcho, cookie_);
}

void OwnAssociation::handle_init(const sctp::Chunk& chunk) {
    const auto init = sctp::parse_init(chunk.value);
    if (!init.ok()) return;
    if (state_ == State::kConnected && init->tag != peer_.tag) {
        // RFC 9260 5.2.2: a restart. A peer that lost its state has lost its channels, too.
        send_single(peer_.tag, sctp::chunk_type::kAbort, {});
        lose("peer restarted the association");
        return;
    }
    if (local_tag_ == 0) draw_tags();
    // 5.2.1: "the endpoint MUST respond with an INIT ACK chunk using the same parameters it sent in
    // its original INIT chunk (including its Initiate Tag, unchanged)".
    // Zero checksums are for those who know of them (send_init): then there is no delay where both
    // sides begin, as in WebRTC.
    sctp::InitChunk answer = own_init(init->zero_checksum);
    sctp::StateCookie cookie;
    cookie.secret = secret_;
    cookie.local_tag = local_tag_;
    cookie.peer = *init;
    answer.cookie = sctp::build_cookie(cookie);
    answer.unrecognized = init->unrecognized;
    send_single(init->tag, sctp::chunk_type::kInitAck, sctp::build_init(answer));
}

void OwnAssociation::handle_init_ack(const sctp::Chunk& chunk, TimePoint now) {
    // 5.2.3: "If an INIT ACK chunk is received by an endpoint in any state other than the
    // COOKIE-WAIT or CLOSED state, the endpoint SHOULD discard".
    if (state_ != State::kCookieWait) return;
    auto init = sctp::parse_init(chunk.value);
    if (!init.ok() || init->cookie.empty()) {
        lose("sctp could not be set up");
        return;
    }
    peer_ = std::move(*init);
    cookie_ = std::move(peer_.cookie);
    state_ = State::kCookieEchoed;
    handshake_tries_ = 0;
    send_cookie_echo();
    start_handshake_timer(now);
}

void OwnAssociation::handle_cookie_echo(const sctp::Chunk& chunk, TimePoint now) {
    const auto cookie = sctp::parse_cookie(chunk.value);
    if (!cookie || cookie->secret != secret_ || cookie->local_tag != local_tag_) return;
    if (state_ == State::kConnected) {
        // 5.2.4, D: our COOKIE ACK may have been lost.
        if (cookie->peer.tag == peer_.tag) push_control(sctp::chunk_type::kCookieAck, {});
        return;
    }
    // 5.2.4, B and D: the tag of ours is right, so this is the peer's answer to what we said.
    establish(cookie->peer, now);
    push_control(sctp::chunk_type::kCookieAck, {});
}

void OwnAssociation::establish(const sctp::InitChunk& peer, TimePoint now) {
    peer_ = peer;
    state_ = State::kConnected;
    handshake_deadline_.reset();
    cookie_ = {};
    heard_ = now;
    checksum_free_ = peer.zero_checksum;
    outgoing_streams_ = std::min(options_.max_streams, peer.incoming_streams);

    sctp::SenderOptions sending;
    sending.mtu_bytes = options_.mtu_bytes;
    sending.buffer_bytes = std::max(options_.send_buffer_bytes, options_.max_message_bytes);
    sending.max_buffer_bytes = options_.max_send_buffer_bytes;
    sending.first_tsn = local_tsn_;
    sending.peer_window_bytes = peer.window_bytes;
    sending.peer_takes_forward_tsn = peer.forward_tsn;
    sender_ = std::make_unique<sctp::Sender>(sending);

    sctp::ReceiverOptions receiving;
    receiving.first_tsn = peer.tsn;
    receiving.window_bytes = as_u32(window_bytes_);
    receiving.max_window_bytes = as_u32(options_.max_receive_buffer_bytes);
    receiving.max_message_bytes = as_u32(options_.max_message_bytes);
    receiving.mtu_bytes = as_u32(options_.mtu_bytes);
    receiving.streams = options_.max_streams;
    receiver_ = std::make_unique<sctp::Receiver>(stack_.buffers(), receiving);

    outgoing_resets_.emplace(local_tsn_);
    incoming_resets_.emplace(peer.tsn, options_.max_streams);
    push(EventKind::kConnected, 0);
}

void OwnAssociation::handle_handshake_timeout(TimePoint now) {
    if (!handshake_deadline_ || *handshake_deadline_ > now) return;
    if (++handshake_tries_ > kMaxTries) {
        lose("sctp could not be set up");
        return;
    }
    if (state_ == State::kCookieWait) {
        send_init();
    } else {
        send_cookie_echo();
    }
    start_handshake_timer(now);
}

}  // namespace kollator::rtc
