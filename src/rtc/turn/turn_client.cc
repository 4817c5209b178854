#include "rtc/turn/turn_client.h"

#include <algorithm>
#include <utility>

#include "crypto/hash.h"

namespace kollator::rtc {

namespace {

// RFC 8489 6.2.1, as in ICE: sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
constexpr Duration kInitialTimeout = std::chrono::milliseconds(500);
constexpr int kMaxTransmissions = 7;
// RFC 8489 6.2.2: Ti, for reliable transports.
constexpr Duration kReliableTimeout = std::chrono::milliseconds(39'500);
// RFC 8489 9.2.5: a nonce may grow stale between two requests, but not for ever.
constexpr int kMaxRefusals = 3;
// 8656 14.7: UDP, in the highest of four bytes.
constexpr std::uint32_t kTransportUdp = std::uint32_t{17} << 24;
// RFC 8656 9 and 12: how long the server keeps them.
constexpr Duration kPermissionLifetime = std::chrono::seconds(300);
constexpr Duration kChannelLifetime = std::chrono::seconds(600);
constexpr Duration kRefreshBefore = std::chrono::seconds(60);
// RFC 8656 12: a channel that ran out may be bound to another peer after 5 minutes.
constexpr Duration kChannelRest = std::chrono::seconds(300);
constexpr Duration kMaintenance = std::chrono::seconds(10);
constexpr std::uint16_t kFirstChannel = 0x4000;
constexpr std::uint16_t kLastChannel = 0x4FFF;
constexpr std::size_t kChannelHeaderBytes = 4;

constexpr bool is_stun(std::uint8_t first) {
    return first < 4;
}

}  // namespace

TurnClient::TurnClient(TurnOptions options, Random& random)
    : options_(std::move(options)), random_(random) {}

void TurnClient::start(TimePoint now) {
    released_mismatch_ = false;
    allocate(now);
}

void TurnClient::allocate(TimePoint now) {
    forget();
    retry_at_.reset();
    state_ = TurnState::kAllocating;
    credentials_ = options_.credentials();
    key_.clear();
    request(now, Kind::kAllocate);
}

void TurnClient::forget() {
    requests_.clear();
    permissions_.clear();
    channels_.clear();
    peers_by_channel_.clear();
    output_.clear();
    relayed_.reset();
    mapped_.reset();
    next_maintenance_.reset();
}

void TurnClient::stop(const std::string& reason) {
    forget();
    retry_at_.reset();
    failure_ = reason;
    state_ = TurnState::kIdle;
}

void TurnClient::fail(TimePoint now, std::string reason) {
    forget();
    failure_ = std::move(reason);
    state_ = TurnState::kFailed;
    retry_at_ = now + kRetry;
}

void TurnClient::release(TimePoint now) {
    if (state_ != TurnState::kAllocated) return;
    requests_.clear();
    request(now, Kind::kRelease);
}

// ---- requests ----

void TurnClient::request(TimePoint now, Kind kind, const SocketAddress& peer,
                         std::uint16_t channel) {
    if (requests_.size() >= kMaxRequests) return;
    Request request;
    request.kind = kind;
    request.peer = peer;
    request.channel = channel;
    begin(now, std::move(request));
}

void TurnClient::begin(TimePoint now, Request request) {
    random_.fill(request.id);
    store_u32(request.id.data(), options_.transaction_prefix);
    request.bytes = build(request);
    request.sent = 0;
    request.timeout = options_.reliable ? kReliableTimeout : kInitialTimeout;
    requests_.push_back(std::move(request));
    transmit(now, requests_.back());
}

void TurnClient::transmit(TimePoint now, Request& request) {
    ++request.sent;
    request.resend_at = now + request.timeout;
    request.timeout *= 2;
    emit(request.bytes);
}

Bytes TurnClient::build(const Request& request) const {
    std::uint16_t method = kTurnAllocate;
    if (request.kind == Kind::kRefresh || request.kind == Kind::kRelease) method = kTurnRefresh;
    if (request.kind == Kind::kPermission) method = kTurnCreatePermission;
    if (request.kind == Kind::kChannel) method = kTurnChannelBind;
    StunBuilder builder(StunClass::kRequest, method, request.id);
    switch (request.kind) {
        case Kind::kAllocate:
            builder.u32(StunAttribute::kRequestedTransport, kTransportUdp);
            break;
        case Kind::kRefresh:
            break;
        case Kind::kRelease:
            builder.u32(StunAttribute::kLifetime, 0);
            break;
        case Kind::kChannel:
            builder.u32(StunAttribute::kChannelNumber, std::uint32_t{request.channel} << 16);
            builder.xor_address(StunAttribute::kXorPeerAddress, request.peer);
            break;
        case Kind::kPermission:
            builder.xor_address(StunAttribute::kXorPeerAddress, request.peer);
            break;
    }
    if (key_.empty()) return builder.fingerprint().finish();
    return builder.username(credentials_.username)
        .attribute(StunAttribute::kRealm, as_bytes(realm_))
        .attribute(StunAttribute::kNonce, as_bytes(nonce_))
        .integrity(key_)
        .fingerprint()
        .finish();
}

// ---- answers ----

std::optional<TurnData> TurnClient::handle_message(TimePoint now, ByteSpan bytes) {
    if (bytes.empty()) return std::nullopt;
    if (!is_stun(bytes[0])) return handle_channel_data(bytes);
    const Result<StunMessage> message = parse_stun(bytes);
    if (!message.ok()) return std::nullopt;
    if (message->message_class == StunClass::kIndication) {
        const bool whole = message->method == kTurnData && message->peer_address && message->data;
        // RFC 8656 11.5: nothing authenticates it but that a permission exists.
        if (!whole) return std::nullopt;
        const auto permission = permissions_.find(message->peer_address->ip);
        if (permission == permissions_.end()) return std::nullopt;
        permission->second.heard = true;
        return TurnData{*message->peer_address, *message->data};
    }
    if (message->message_class != StunClass::kRequest) handle_response(now, bytes, *message);
    return std::nullopt;
}

std::optional<TurnData> TurnClient::handle_channel_data(ByteSpan bytes) const {
    if (bytes.size() < kChannelHeaderBytes) return std::nullopt;
    const auto peer = peers_by_channel_.find(load_u16(bytes.data()));
    const std::size_t size = load_u16(bytes.data() + 2);
    if (peer == peers_by_channel_.end() || bytes.size() - kChannelHeaderBytes < size) {
        return std::nullopt;
    }
    return TurnData{peer->second, bytes.subspan(kChannelHeaderBytes, size)};
}

bool TurnClient::is_authentic(ByteSpan bytes, const StunMessage& message) const {
    if (message.message_class == StunClass::kError && !message.integrity_offset) {
        // RFC 8489 9.2.4: the server cannot sign what tells that it does not know us, or not with
        // this nonce. Other errors without integrity are taken as well, as servers send them (for
        // a mismatched allocation); a forged one costs an allocation that is made anew.
        return true;
    }
    return !key_.empty() && verify_integrity(bytes, message, key_);
}

void TurnClient::handle_response(TimePoint now, ByteSpan bytes, const StunMessage& message) {
    const auto found =
        std::find_if(requests_.begin(), requests_.end(),
                     [&](const Request& request) { return request.id == message.transaction; });
    if (found == requests_.end() || !is_authentic(bytes, message)) return;
    Request request = std::move(*found);
    requests_.erase(found);
    if (message.message_class == StunClass::kSuccess) {
        handle_success(now, request, message);
    } else {
        handle_error(now, std::move(request), message);
    }
}

void TurnClient::handle_success(TimePoint now, const Request& request, const StunMessage& message) {
    const auto lifetime = std::chrono::seconds(message.lifetime_s.value_or(0));
    const Duration refresh_in = std::max<Duration>(lifetime / 2, lifetime - kRefreshBefore);
    switch (request.kind) {
        case Kind::kAllocate:
            if (!message.relayed_address || lifetime == lifetime.zero()) {
                return fail(now, "the server's answer is incomplete");
            }
            state_ = TurnState::kAllocated;
            relayed_ = message.relayed_address;
            mapped_ = message.mapped_address;
            refresh_at_ = now + refresh_in;
            next_maintenance_ = now + kMaintenance;
            break;
        case Kind::kRefresh:
            refresh_at_ = now + refresh_in;
            break;
        case Kind::kRelease:
            // What stood in the way is gone; or the end was wanted.
            if (state_ == TurnState::kAllocating) return allocate(now);
            stop("released");
            break;
        case Kind::kPermission:
            if (const auto found = permissions_.find(request.peer.ip);
                found != permissions_.end()) {
                found->second.granted = true;
                found->second.refresh_at = now + kPermissionLifetime - kRefreshBefore;
            }
            break;
        case Kind::kChannel:
            if (const auto found = channels_.find(request.peer); found != channels_.end()) {
                found->second.bound = true;
                found->second.refresh_at = now + kChannelLifetime - kRefreshBefore;
            }
            break;
    }
}

void TurnClient::handle_error(TimePoint now, Request request, const StunMessage& message) {
    const std::uint16_t code = message.error ? message.error->code : 0;
    const bool stale = code == static_cast<std::uint16_t>(StunErrorCode::kStaleNonce);
    const bool unknown =
        code == static_cast<std::uint16_t>(StunErrorCode::kUnauthenticated) && key_.empty();
    if ((stale || unknown) && message.nonce && request.refused < kMaxRefusals) {
        if (message.realm) realm_ = *message.realm;
        nonce_ = *message.nonce;
        // RFC 8489 9.2.2: key = MD5(username ":" realm ":" password).
        const crypto::Md5Digest key = crypto::md5(
            as_bytes(credentials_.username + ":" + realm_ + ":" + credentials_.password));
        key_ = as_text(key);
        ++request.refused;
        return begin(now, std::move(request));
    }
    const bool mismatch = code == static_cast<std::uint16_t>(StunErrorCode::kAllocationMismatch);
    if (mismatch && request.kind == Kind::kAllocate && !released_mismatch_) {
        // An allocation that this address left behind, when the process ended without release().
        released_mismatch_ = true;
        return this->request(now, Kind::kRelease);
    }
    std::string why = std::to_string(code);
    if (message.error) why += " " + std::string(message.error->reason);
    give_up(now, request, why);
}

void TurnClient::give_up(TimePoint now, const Request& request, const std::string& why) {
    switch (request.kind) {
        case Kind::kAllocate:
            return fail(now, "allocation refused: " + why);
        case Kind::kRefresh:
            return fail(now, "allocation lost: " + why);
        case Kind::kRelease:
            if (state_ == TurnState::kAllocating) return fail(now, "allocation refused: " + why);
            return stop("released");
        case Kind::kPermission:
            permissions_.erase(request.peer.ip);
            return;
        case Kind::kChannel:
            // It rests as one that ran out: data goes in Send indications meanwhile.
            if (const auto found = channels_.find(request.peer); found != channels_.end()) {
                found->second.bound = false;
                found->second.free_at = now + kChannelRest;
            }
            return;
    }
}

// ---- data ----

void TurnClient::permit(TimePoint now, const IpAddress& ip) {
    if (state_ != TurnState::kAllocated || ip.is_v6() != relayed_->ip.is_v6()) return;
    const auto known = permissions_.find(ip);
    if (known != permissions_.end()) {
        known->second.last_used = now;
        return;
    }
    // Without a request it would never be granted: what is sent next asks again.
    if (requests_.size() >= kMaxRequests) return;
    if (permissions_.size() >= kMaxPermissions) {
        const auto less_needed = [](const auto& a, const auto& b) {
            if (a.second.heard != b.second.heard) return b.second.heard;
            return a.second.last_used < b.second.last_used;
        };
        permissions_.erase(std::min_element(permissions_.begin(), permissions_.end(), less_needed));
    }
    permissions_.emplace(ip, Permission{false, false, now + kPermissionLifetime, now});
    request(now, Kind::kPermission, {ip, 0});
}

void TurnClient::send(TimePoint now, const SocketAddress& to, ByteSpan datagram) {
    if (state_ != TurnState::kAllocated || datagram.empty()) return;
    if (to.ip.is_v6() != relayed_->ip.is_v6()) return;
    permit(now, to.ip);
    // Checks go to many addresses; only what carries data is worth a channel.
    const auto channel = is_stun(datagram[0]) ? std::nullopt : channel_to(now, to);
    if (!channel) {
        TransactionId id{};
        random_.fill(id);
        return emit(StunBuilder(StunClass::kIndication, kTurnSend, id)
                        .xor_address(StunAttribute::kXorPeerAddress, to)
                        .attribute(StunAttribute::kData, datagram)
                        .finish());
    }
    Bytes message;
    message.reserve(kChannelHeaderBytes + datagram.size() + 3);
    ByteWriter writer(message);
    writer.u16(*channel);
    writer.u16(static_cast<std::uint16_t>(datagram.size()));
    writer.bytes(datagram);
    // RFC 8656 12.5: padded over streams; over UDP it may be.
    if (options_.reliable) message.resize((message.size() + 3) & ~std::size_t{3});
    emit(std::move(message));
}

/// The bound channel to this peer; where there is none, one is asked for.
std::optional<std::uint16_t> TurnClient::channel_to(TimePoint now, const SocketAddress& to) {
    const auto known = channels_.find(to);
    if (known != channels_.end()) {
        known->second.last_used = now;
        return known->second.bound ? std::optional(known->second.number) : std::nullopt;
    }
    if (channels_.size() >= kMaxChannels || requests_.size() >= kMaxRequests) return std::nullopt;
    // There are four times as many numbers as channels: one is free.
    do {
        last_channel_ = last_channel_ < kFirstChannel || last_channel_ >= kLastChannel
                            ? kFirstChannel
                            : static_cast<std::uint16_t>(last_channel_ + 1);
    } while (peers_by_channel_.contains(last_channel_));
    channels_.emplace(to, Channel{last_channel_, false, now + kChannelLifetime, now, {}});
    peers_by_channel_.emplace(last_channel_, to);
    request(now, Kind::kChannel, to, last_channel_);
    return std::nullopt;
}

// ---- time ----

void TurnClient::handle_timeout(TimePoint now) {
    if (retry_at_ && *retry_at_ <= now) return start(now);
    for (std::size_t i = 0; i < requests_.size(); ++i) {
        Request& due = requests_[i];
        if (due.resend_at > now) continue;
        if (!options_.reliable && due.sent < kMaxTransmissions) {
            transmit(now, due);
            continue;
        }
        const Request failed = std::move(due);
        requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i--));
        give_up(now, failed, "no answer");
        // It may have forgotten all of them, or begun others.
        if (state_ != TurnState::kAllocated) return;
    }
    if (next_maintenance_ && *next_maintenance_ <= now) maintain(now);
}

/// Refreshes what is in use, and forgets what is not.
void TurnClient::maintain(TimePoint now) {
    next_maintenance_ = now + kMaintenance;
    if (refresh_at_ <= now) {
        refresh_at_ = now + kRefreshBefore;
        request(now, Kind::kRefresh);
    }
    std::erase_if(permissions_, [now](const auto& each) {
        return each.second.last_used + kPermissionLifetime <= now;
    });
    for (auto& [ip, permission] : permissions_) {
        if (permission.refresh_at > now) continue;
        permission.refresh_at = now + kRefreshBefore;
        request(now, Kind::kPermission, {ip, 0});
    }
    for (auto channel = channels_.begin(); channel != channels_.end();) {
        Channel& each = channel->second;
        if (each.free_at && *each.free_at <= now) {
            peers_by_channel_.erase(each.number);
            channel = channels_.erase(channel);
            continue;
        }
        if (!each.free_at && each.refresh_at <= now) {
            if (each.last_used + kChannelLifetime <= now) {
                each.bound = false;
                each.free_at = now + kRefreshBefore + kChannelRest;
            } else {
                each.refresh_at = now + kRefreshBefore;
                request(now, Kind::kChannel, channel->first, each.number);
            }
        }
        ++channel;
    }
}

std::optional<TimePoint> TurnClient::next_timeout() const {
    std::optional<TimePoint> next = retry_at_;
    const auto consider = [&next](TimePoint when) {
        if (!next || when < *next) next = when;
    };
    for (const Request& request : requests_) consider(request.resend_at);
    if (next_maintenance_) consider(*next_maintenance_);
    return next;
}

std::optional<Bytes> TurnClient::poll_output() {
    if (output_.empty()) return std::nullopt;
    Bytes bytes = std::move(output_.front());
    output_.pop_front();
    return bytes;
}

void TurnClient::emit(Bytes bytes) {
    if (output_.size() < kMaxQueuedDatagrams) output_.push_back(std::move(bytes));
}

}  // namespace kollator::rtc
