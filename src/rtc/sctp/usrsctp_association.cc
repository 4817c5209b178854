#include "rtc/sctp/usrsctp_association.h"

#include <arpa/inet.h>
#include <usrsctp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "rtc/sctp/crc32c.h"
#include "rtc/sctp/usrsctp_library.h"
#include "rtc/sctp/usrsctp_stack.h"

namespace kollator::rtc {
namespace {

/// Notifications that we need; each must be asked for.
constexpr std::array<std::uint16_t, 2> kNotifications = {SCTP_ASSOC_CHANGE,
                                                         SCTP_STREAM_RESET_EVENT};

constexpr std::size_t kCommonHeaderBytes = 12;
/// Of one packet in a row; then the peer is gone. RFC 9260 16: Association.Max.Retrans.
constexpr std::uint16_t kMaxRetransmissions = 10;

sockaddr_conn address_of(void* handle, std::uint16_t port) {
    sockaddr_conn address{};
    address.sconn_family = AF_CONN;
    address.sconn_port = htons(port);
    address.sconn_addr = handle;
    return address;
}

/// More than usrsctp counts; and not over 2^31, since it keeps it as seconds.
constexpr std::uint32_t kEndlessRetransmissions = 0x7fffffff;

/// A queued message costs some 500 bytes beside its payload: tiny ones may hold 2 MB at most.
/// (usrsctp counts only those that it has already cut into chunks.)
constexpr std::size_t kMaxQueuedMessages = 4096;

/// The send buffer's size as usrsctp's option has it: an int.
int as_int(std::size_t value) {
    return static_cast<int>(std::min<std::size_t>(value, 1U << 30));
}

}  // namespace

UsrsctpAssociation::UsrsctpAssociation(UsrsctpStack& stack, const SctpOptions& options,
                                       SctpObserver& observer)
    : stack_(stack),
      options_(options),
      observer_(observer),
      ledger_(std::max(options.send_buffer_bytes, options.max_message_bytes)),
      window_(ledger_.capacity_bytes(), options.max_send_buffer_bytes) {
    // usrsctp delivers a message in parts from half of the receive buffer on, and then mixes up
    // unordered ones. So that every message within the limit comes in one piece (and no join copies
    // it), the buffer holds two: as much memory as one and an accumulator would take.
    least_window_bytes_ =
        std::max(options.receive_buffer_bytes, 2 * (options.max_message_bytes + 1));
    window_bytes_ =
        stack_.budget().take_window(least_window_bytes_, options.max_receive_buffer_bytes);
    stack_.add_association();
}

UsrsctpAssociation::~UsrsctpAssociation() {
    state_ = State::kClosed;  // what the socket still says on closing goes nowhere
    must_close_ = false;
    close_socket();
    update_busy();
    stack_.budget().change_buffered(accounted_bytes_, 0);
    stack_.budget().give_back_window(least_window_bytes_, window_bytes_);
    stack_.remove_association();
}

// ---------------------------------------------------------------------------------------------
// Setting up and tearing down

void UsrsctpAssociation::connect(TimePoint now) {
    if (state_ != State::kNew) return;
    stack_.catch_up(now);
    stack_.note_activity(now);
    state_ = State::kConnecting;
    handle_ = register_association(*this);
    if (!open_socket()) lose(std::string("sctp: ") + std::strerror(errno));
    update_busy();
}

bool UsrsctpAssociation::open_socket() {
    socket_ = open_usrsctp_socket(handle_);
    if (socket_ == nullptr || !configure()) return false;
    sockaddr_conn local = address_of(handle_, options_.local_port);
    if (usrsctp_bind(socket_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0)
        return false;
    sockaddr_conn remote = address_of(handle_, options_.remote_port);
    const int result =
        usrsctp_connect(socket_, reinterpret_cast<sockaddr*>(&remote), sizeof(remote));
    if (result != 0 && errno != EINPROGRESS) return false;
    return set_path_mtu();
}

template <typename T>
bool UsrsctpAssociation::set_option(int level, int name, const T& value) {
    return usrsctp_setsockopt(socket_, level, name, &value, sizeof(value)) == 0;
}

bool UsrsctpAssociation::subscribe(std::uint16_t notification) {
    sctp_event event{};
    event.se_assoc_id = SCTP_ALL_ASSOC;
    event.se_type = notification;
    event.se_on = 1;
    return set_option(IPPROTO_SCTP, SCTP_EVENT, event);
}

bool UsrsctpAssociation::configure() {
    if (usrsctp_set_non_blocking(socket_, 1) != 0) return false;
    linger abort_on_close{};
    abort_on_close.l_onoff = 1;
    abort_on_close.l_linger = 0;

    // Each stream costs memory in both directions, and peers announce 65,535 of them.
    sctp_initmsg streams{};
    streams.sinit_num_ostreams = options_.max_streams;
    streams.sinit_max_instreams = options_.max_streams;

    sctp_assoc_value resets{};
    resets.assoc_id = SCTP_ALL_ASSOC;
    resets.assoc_value = SCTP_ENABLE_RESET_STREAM_REQ;

    const std::size_t whole = options_.max_message_bytes + 1;

    sctp_assocparams patience{};
    patience.sasoc_asocmaxrxt = kMaxRetransmissions;

    const int on = 1;
    for (const std::uint16_t notification : kNotifications) {
        if (!subscribe(notification)) return false;
    }
    return set_option(SOL_SOCKET, SO_LINGER, abort_on_close) &&
           set_option(SOL_SOCKET, SO_SNDBUF, as_int(ledger_.capacity_bytes())) &&
           set_option(SOL_SOCKET, SO_RCVBUF, as_int(window_bytes_)) &&
           set_option(IPPROTO_SCTP, SCTP_PARTIAL_DELIVERY_POINT, as_int(whole)) &&
           set_option(IPPROTO_SCTP, SCTP_NODELAY, on) &&
           set_option(IPPROTO_SCTP, SCTP_INITMSG, streams) &&
           set_option(IPPROTO_SCTP, SCTP_ASSOCINFO, patience) &&
           set_option(IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, resets);
}

bool UsrsctpAssociation::set_path_mtu() {
    sockaddr_conn remote = address_of(handle_, options_.remote_port);
    sctp_paddrparams path{};
    std::memcpy(&path.spp_address, &remote, sizeof(remote));
    // RFC 8261 5: no path MTU discovery of SCTP's own below DTLS. Heartbeats: ICE's consent checks
    // tell whether the path lives (RFC 7675).
    path.spp_flags = SPP_PMTUD_DISABLE | SPP_HB_DISABLE;
    // There is one path. Were it given up before the association is, new data would wait for a
    // heartbeat's answer that never comes.
    path.spp_pathmaxrxt = 2 * kMaxRetransmissions;
    // Over AF_CONN usrsctp counts its common header beside the path MTU.
    path.spp_pathmtu = static_cast<std::uint32_t>(options_.mtu_bytes - kCommonHeaderBytes);
    return set_option(IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, path);
}

void UsrsctpAssociation::abort() {
    aborted_ = true;
    close_socket();  // on_output carries the ABORT, as long as the handle is registered
    state_ = State::kClosed;
    inbox_.clear();
    inbox_bytes_ = 0;
    update_busy();
}

void UsrsctpAssociation::lose(std::string reason) {
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    must_close_ = true;
    close_reason_ = std::move(reason);
    push(EventKind::kClosed, 0);
    update_busy();
}

void UsrsctpAssociation::close_socket() {
    if (handle_ == nullptr) return;
    if (socket_ != nullptr) usrsctp_close(std::exchange(socket_, nullptr));
    unregister_association(std::exchange(handle_, nullptr));
    must_close_ = false;
}

void UsrsctpAssociation::update_busy() {
    const bool busy = state_ == State::kConnecting ||
                      (state_ == State::kConnected &&
                       (buffered_bytes() > 0 || resets_in_flight_ > 0 || !pending_resets_.empty()));
    if (busy == counted_busy_) return;
    counted_busy_ = busy;
    if (busy) {
        stack_.add_busy();
    } else {
        stack_.remove_busy();
    }
}

// ---------------------------------------------------------------------------------------------
// Packets

void UsrsctpAssociation::on_output(MutableByteSpan packet) {
    write_sctp_checksum(packet);
    const std::uint64_t retransmitted = ledger_.retransmitted_bytes();
    ledger_.on_packet_out(packet, stack_.latest());
    if (ledger_.retransmitted_bytes() > retransmitted) {
        stack_.budget().add_retransmitted(ledger_.retransmitted_bytes() - retransmitted);
        flight_cap_.on_loss(ledger_.in_flight_bytes());
    }
    // While the destructor runs, the observer may be half gone; abort() still has its say.
    if (state_ != State::kClosed || must_close_) observer_.on_sctp_packet(packet);
}

void UsrsctpAssociation::handle_packet(ByteSpan packet, TimePoint now) {
    if (socket_ == nullptr || state_ == State::kClosed) return;
    stack_.note_activity(now);
    // usrsctp takes what it delivered as read, and opens the window again. An owner that feeds
    // without poll() is stopped here: the peer sends again what is dropped.
    if (inbox_bytes_ > window_bytes_ + options_.max_message_bytes) return;
    // Before usrsctp sees it: its own word, where it gives one, is the last.
    const SendLedger::Acknowledged acknowledged = ledger_.on_packet_in(packet, now);
    if (acknowledged.bytes > 0) grow(acknowledged, now);
    in_input_ = true;
    usrsctp_conninput(handle_, packet.data(), packet.size(), 0);
    in_input_ = false;
    if (acknowledged.bytes > 0) check_space();
    account();
    if (must_close_) close_socket();
    update_busy();
}

void UsrsctpAssociation::on_piece(Piece piece) {
    if (state_ == State::kClosed) return;
    if (!piece.last || piece.size_bytes > options_.max_message_bytes) {
        lose("peer sent a message that is too large");
        return;
    }
    inbox_bytes_ += piece.size_bytes + sizeof(Event);
    inbox_.push_back({EventKind::kMessage, std::move(piece)});
}

void UsrsctpAssociation::push(EventKind kind, std::uint16_t stream) {
    Event event{kind, {}};
    event.piece.stream = stream;
    inbox_bytes_ += sizeof(Event);
    inbox_.push_back(std::move(event));
}

void UsrsctpAssociation::on_send_space(std::size_t free_bytes) {
    ledger_.resync(free_bytes);
    check_space();
}

void UsrsctpAssociation::check_space() {
    if (!awaits_space_ || state_ != State::kConnected) return;
    const std::size_t needed = std::max(ledger_.capacity_bytes() / 2, wanted_bytes_);
    space_came_ = has_room(needed) && ledger_.buffered_messages() <= kMaxQueuedMessages / 2;
}

bool UsrsctpAssociation::has_room(std::size_t size_bytes) const {
    // Who has something in flight is told by its acknowledgement when there is room again; who has
    // nothing could wait for ever, and is let through.
    if (stack_.budget().over_budget() && ledger_.buffered_bytes() > 0) return false;
    return ledger_.free_bytes() >= size_bytes;
}

void UsrsctpAssociation::grow(const SendLedger::Acknowledged& acknowledged, TimePoint now) {
    if (awaits_space_) window_.on_limited();
    window_.on_acknowledged(now, acknowledged.bytes, acknowledged.round_trip);
    flight_cap_.on_acknowledged(acknowledged.bytes, window_.shortest_round_trip());
    apply_flight_cap();
    if (window_.bytes() <= ledger_.capacity_bytes() || socket_ == nullptr) return;
    if (set_option(SOL_SOCKET, SO_SNDBUF, as_int(window_.bytes()))) {
        ledger_.set_capacity(window_.bytes());
    }
}

void UsrsctpAssociation::apply_flight_cap() {
    const std::size_t cap = flight_cap_.bytes();
    if (cap == applied_cap_bytes_ || socket_ == nullptr) return;
    sctp_assoc_value most{};
    most.assoc_value = static_cast<std::uint32_t>(cap);
    if (set_option(IPPROTO_SCTP, SCTP_MAX_CWND, most)) applied_cap_bytes_ = cap;
}

void UsrsctpAssociation::account() {
    stack_.budget().change_buffered(accounted_bytes_, ledger_.buffered_bytes());
    accounted_bytes_ = ledger_.buffered_bytes();
}

// ---------------------------------------------------------------------------------------------
// The owner's side

bool UsrsctpAssociation::wants_poll() const {
    return !inbox_.empty() || must_close_ || (space_came_ && state_ == State::kConnected);
}

void UsrsctpAssociation::poll(TimePoint) {
    if (must_close_) close_socket();
    if (!pending_resets_.empty()) try_resets();
    // Callbacks may call back, abort() included, which empties the inbox: this batch is our own.
    delivering_.swap(inbox_);
    inbox_bytes_ = 0;
    for (Event& event : delivering_) {
        if (aborted_) break;
        deliver(event);
    }
    delivering_.clear();
    if (space_came_ && state_ == State::kConnected) {
        awaits_space_ = space_came_ = false;
        wanted_bytes_ = 0;
        observer_.on_sctp_writable();
    }
    update_busy();
}

void UsrsctpAssociation::deliver(Event& event) {
    switch (event.kind) {
        case EventKind::kConnected:
            observer_.on_sctp_connected();
            break;
        case EventKind::kMessage:
            observer_.on_sctp_message(event.piece.stream, event.piece.ppid,
                                      {event.piece.data.get(), event.piece.size_bytes});
            event.piece.data.reset();
            break;
        case EventKind::kReset:
            observer_.on_sctp_stream_reset(event.piece.stream);
            break;
        case EventKind::kResetDone:
            observer_.on_sctp_stream_reset_done(event.piece.stream);
            break;
        case EventKind::kClosed:
            observer_.on_sctp_closed(close_reason_);
            break;
    }
}

std::size_t UsrsctpAssociation::buffered_bytes() const {
    return ledger_.buffered_bytes();
}

std::size_t UsrsctpAssociation::writable_bytes() const {
    return state_ == State::kConnected && has_room(0) ? ledger_.free_bytes() : 0;
}

Status UsrsctpAssociation::send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) {
    if (state_ != State::kConnected) {
        return make_error(ErrorCode::kCancelled, "sctp: not connected");
    }
    const std::size_t size = head.size() + body.size();
    if (size == 0 || size > ledger_.capacity_bytes() || options.stream >= outgoing_streams_) {
        return make_error(ErrorCode::kInvalid, "sctp: no such message or stream");
    }
    Status status;
    if (!has_room(size) || ledger_.buffered_messages() >= kMaxQueuedMessages) {
        status = make_error(ErrorCode::kLimit, "sctp: the send buffer is full");
    } else if (head.empty() || body.empty()) {
        status = send_joined(options, head.empty() ? body : head);
    } else {
        // usrsctp takes one block (sendv has no vector), and copies it into its own buffers.
        Bytes& joined = stack_.scratch();
        joined.resize(std::max(joined.size(), size));
        std::memcpy(joined.data(), head.data(), head.size());
        std::memcpy(joined.data() + head.size(), body.data(), body.size());
        status = send_joined(options, ByteSpan(joined).first(size));
    }
    if (!status.ok() && status.error().code == ErrorCode::kLimit) {
        awaits_space_ = true;
        wanted_bytes_ = std::max(wanted_bytes_, size);
    }
    account();
    update_busy();
    return status;
}

namespace {

void set_reliability(const SctpSendOptions& options, sctp_sendv_spa& info) {
    info.sendv_flags |= SCTP_SEND_PRINFO_VALID;
    if (options.max_lifetime_ms >= 0 && options.max_retransmits < 0) {
        info.sendv_prinfo.pr_policy = SCTP_PR_SCTP_TTL;
        info.sendv_prinfo.pr_value = static_cast<std::uint32_t>(options.max_lifetime_ms);
        return;
    }
    // Reliable messages are sent again without end, too, and not by saying nothing: usrsctp 0.9.5
    // has a fast way for SACKs when nothing in its queue is partially reliable, and there it never
    // restarts T3-rtx (RFC 9260 6.3.2, R3: "Whenever a SACK chunk is received that acknowledges the
    // DATA chunk with the earliest outstanding TSN ... restart the T3-rtx timer"). On a path of 50
    // ms it expired every 400 ms with nothing lost, and the congestion window began anew.
    info.sendv_prinfo.pr_policy = SCTP_PR_SCTP_RTX;
    info.sendv_prinfo.pr_value = options.max_retransmits >= 0
                                     ? static_cast<std::uint32_t>(options.max_retransmits)
                                     : kEndlessRetransmissions;
}

}  // namespace

Status UsrsctpAssociation::send_joined(const SctpSendOptions& options, ByteSpan message) {
    sctp_sendv_spa info{};
    info.sendv_flags = SCTP_SEND_SNDINFO_VALID;
    info.sendv_sndinfo.snd_sid = options.stream;
    info.sendv_sndinfo.snd_ppid = htonl(options.ppid);
    if (!options.ordered) info.sendv_sndinfo.snd_flags = SCTP_UNORDERED;
    set_reliability(options, info);
    ledger_.add_message(message.size());
    const ssize_t sent = usrsctp_sendv(socket_, message.data(), message.size(), nullptr, 0, &info,
                                       sizeof(info), SCTP_SENDV_SPA, 0);
    if (sent == static_cast<ssize_t>(message.size())) return {};
    const int reason = errno;
    ledger_.take_back_message(message.size());
    switch (reason) {
        case EAGAIN:  // full by count of chunks, or the stream is being reset
        case ENOBUFS:
            return make_error(ErrorCode::kLimit, "sctp: no room");
        case EINVAL:
        case EMSGSIZE:
            return make_error(ErrorCode::kInvalid, std::string("sctp: ") + std::strerror(reason));
        default:
            return make_error(ErrorCode::kCancelled, std::string("sctp: ") + std::strerror(reason));
    }
}

void UsrsctpAssociation::reset_stream(std::uint16_t stream) {
    if (state_ != State::kConnected) return;
    if (std::find(pending_resets_.begin(), pending_resets_.end(), stream) !=
        pending_resets_.end()) {
        return;
    }
    pending_resets_.push_back(stream);
    try_resets();
    update_busy();
}

void UsrsctpAssociation::try_resets() {
    while (!pending_resets_.empty() && state_ == State::kConnected) {
        const std::uint16_t stream = pending_resets_.front();
        alignas(sctp_reset_streams)
            std::array<std::uint8_t, sizeof(sctp_reset_streams) + sizeof(stream)>
                request{};
        sctp_reset_streams header{};
        header.srs_assoc_id = SCTP_ALL_ASSOC;
        header.srs_flags = SCTP_STREAM_RESET_OUTGOING;
        header.srs_number_streams = 1;
        std::memcpy(request.data(), &header, sizeof(header));
        std::memcpy(request.data() + offsetof(sctp_reset_streams, srs_stream_list), &stream,
                    sizeof(stream));
        if (set_option(IPPROTO_SCTP, SCTP_RESET_STREAMS, request)) {
            ++resets_in_flight_;
        } else if (errno == EALREADY || errno == EAGAIN) {
            return;  // one request at a time (RFC 6525 5.1.1); poll() tries again
        } else {
            push(EventKind::kResetDone, stream);  // not resettable: nothing was sent on it
        }
        pending_resets_.erase(pending_resets_.begin());
    }
}

}  // namespace kollator::rtc
