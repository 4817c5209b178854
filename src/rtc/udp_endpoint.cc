#include "rtc/udp_endpoint.h"

#include <algorithm>

#include "base/log.h"
#include "rtc/dtls/record.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// Addresses of one peer that lead to it; a browser has some, one for each of its interfaces. More
// than the two paths that a connection may be sending on.
constexpr std::size_t kMaxRoutesPerPeer = 32;

// With hundreds of busy peers a turn makes more than the socket's queue holds: it is handed to the
// kernel in between. Two full calls' worth.
constexpr std::size_t kFlushBytes = 2 * 32 * 32 * 1200;

// Datagrams from unknown ports of a known address: how many connections may be meant, how many such
// ports are asked in a second, each once. A forged datagram makes that many checks at most.
constexpr std::size_t kMaxStrayPeers = 4;
constexpr std::size_t kMaxStrays = 20;
constexpr Duration kStrayWindow = std::chrono::seconds(1);
// With AES-GCM (RFC 5288 3): header, nonce and tag.
constexpr std::size_t kLeastStrayBytes = kRecordHeaderBytes + 8 + 16;

/// A process has one usrsctp: endpoints share it, and so their thread. The first one's budget holds
/// for all. Of our own each endpoint has one.
std::shared_ptr<SctpStack> make_stack(Random& random, const EndpointOptions& options) {
    const std::size_t budget_bytes = options.buffer_budget_bytes;
    if (options.sctp == SctpImplementation::kOwn) {
        return make_sctp_stack(random, {budget_bytes, budget_bytes});
    }
    static std::weak_ptr<SctpStack> existing;
    std::shared_ptr<SctpStack> stack = existing.lock();
    if (!stack) {
        stack = make_usrsctp_stack({budget_bytes, budget_bytes});
        existing = stack;
    }
    return stack;
}
}  // namespace

UdpEndpoint::UdpEndpoint(EventLoop& loop, const Clock& clock, Random& random,
                         const Certificate& certificate, EndpointOptions options,
                         std::unique_ptr<UdpSocket> socket, HostCandidates candidates)
    : loop_(loop),
      clock_(clock),
      random_(random),
      certificate_(certificate),
      options_(std::move(options)),
      host_candidates_(std::move(candidates)),
      transaction_secret_(random.u32()),
      stack_(make_stack(random, options_)),
      socket_(std::move(socket)),
      gate_(options_.direct),
      dialed_(max_pending(options_), options_.direct.max_pending_per_source),
      timer_(loop) {
    socket_->start(
        [this](const IcePath& path, ByteSpan datagram) { handle_datagram(path, datagram); },
        [this] { run_turn(); }, [this] { on_socket_writable(); });
    if (options_.servers.empty()) return;
    // No connection has the id 0: transactions with that prefix are with servers.
    servers_ = std::make_unique<IceServers>(loop_, clock_, random_, options_.servers,
                                            socket_->local_address(), transaction_secret_,
                                            static_cast<IceServersHost&>(*this));
    servers_->start();
}

UdpEndpoint::~UdpEndpoint() {
    *alive_ = false;
    in_turn_ = true;
    for (const auto& [id, peer] : peers_) peer->abandon();
    servers_.reset();
    socket_->flush();
    peers_.clear();
}

Status UdpEndpoint::add_remote_candidate(PeerId id, std::string_view text) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    if (text.empty()) return {};
    const Result<std::optional<Candidate>> candidate = parse_candidate(text);
    if (!candidate.ok()) return candidate.error();
    if (*candidate) {
        add_remote(*found->second, **candidate);
        mark(*found->second);
    }
    return {};
}

void UdpEndpoint::close(PeerId id, const std::string& reason) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    found->second->close(reason);
    mark(*found->second);
}

void UdpEndpoint::set_reading(PeerId id, bool on) {
    const auto found = peers_.find(id);
    if (found != peers_.end()) found->second->set_reading(on);
}

std::vector<PeerInfo> UdpEndpoint::peers() const {
    std::vector<PeerInfo> infos;
    infos.reserve(peers_.size());
    for (const auto& [id, peer] : peers_) infos.push_back(peer->info());
    return infos;
}

std::optional<std::array<std::uint8_t, 32>> UdpEndpoint::peer_fingerprint(PeerId id) const {
    const auto found = peers_.find(id);
    return found == peers_.end() ? std::nullopt : found->second->info().remote_fingerprint;
}

std::uint64_t UdpEndpoint::received_bytes(PeerId id) const {
    const auto found = peers_.find(id);
    return found == peers_.end() ? 0 : found->second->received_bytes();
}

EndpointStats UdpEndpoint::stats() const {
    const UdpStats& udp = socket_->stats();
    EndpointStats stats;
    stats.active = connected_;
    stats.pending = peers_.size() - connected_;
    stats.total = total_connected_;
    stats.bytes_sent = udp.bytes_sent;
    stats.bytes_received = udp.bytes_received;
    stats.packets_sent = udp.datagrams_sent;
    stats.packets_received = udp.datagrams_received;
    stats.send_calls = udp.send_calls;
    stats.receive_calls = udp.receive_calls;
    stats.packets_dropped = udp.dropped_queue_full + udp.dropped_refused;
    const SctpStats sctp = stack_->stats();
    stats.retransmitted_bytes = sctp.retransmitted_bytes;
    stats.buffered_bytes = sctp.buffered_bytes;
    stats.unread_bytes = sctp.unread_bytes;
    return stats;
}

void UdpEndpoint::handle_datagram(const IcePath& path, ByteSpan datagram) {
    in_turn_ = true;  // until run_turn, at the end of the batch
    // RFC 7983 7.
    const std::uint8_t first = datagram[0];
    const bool of_server = first < 4 || (first >= 64 && first <= 79);
    if (servers_ && of_server && path.relay == 0 &&
        servers_->handle_datagram(path.remote, path.local, datagram)) {
        return;
    }
    if (first < 4) {
        handle_stun(path, datagram);
    } else if (first >= 20 && first <= 63) {
        handle_data(path, datagram);
    }
}

void UdpEndpoint::handle_stun(const IcePath& path, ByteSpan datagram) {
    const Result<StunMessage> message = parse_stun(datagram);
    if (!message.ok()) return;
    const bool request = message->message_class == StunClass::kRequest;
    PeerConnection* peer = request ? find_by_username(message->username.value_or(""))
                                   : find_by_transaction(message->transaction);
    if (peer == nullptr && request) peer = accept_direct_check(path, datagram, *message);
    if (peer == nullptr) return;
    peer->handle_stun(clock_.now(), path, datagram);
    mark(*peer);
}

void UdpEndpoint::handle_data(const IcePath& path, ByteSpan datagram) {
    const auto route = routes_.find(RouteKey(path));
    if (route == routes_.end()) return handle_stray_data(path, datagram);
    PeerConnection& peer = *route->second.peer;
    peer.handle_data(clock_.now(), path, datagram, route->second.validated);
    mark(peer);
}

/// A client whose NAT forgot it comes from another port, and may send for seconds before it checks
/// its path. DTLS 1.2 without connection ids (RFC 9146) does not tell which client it is: where few
/// connections are with that address, each of them asks there, and the one that is answered moves.
/// Nothing is decrypted, and nobody who cannot answer a check moves anything.
void UdpEndpoint::handle_stray_data(const IcePath& path, ByteSpan datagram) {
    if (path.relay != 0 || datagram.size() < kLeastStrayBytes) return;
    if (datagram[0] != static_cast<std::uint8_t>(RecordType::kApplicationData)) return;
    const auto there = by_ip_.find(path.remote.ip);
    if (there == by_ip_.end() || there->second.size() > kMaxStrayPeers) return;
    const TimePoint now = clock_.now();
    while (!strays_.empty() && strays_.front().first + kStrayWindow <= now) strays_.pop_front();
    const bool asked = std::any_of(strays_.begin(), strays_.end(), [&path](const auto& stray) {
        return stray.second == path.remote;
    });
    if (asked || strays_.size() >= kMaxStrays) return;
    strays_.emplace_back(now, path.remote);
    for (PeerConnection* peer : there->second) {
        peer->check_stray(now, path, datagram);
        mark(*peer);
    }
}

/// Thousands may be with one address, behind a NAT or a proxy: the last one takes the place of who
/// leaves.
void UdpEndpoint::list_by_ip(PeerConnection& peer, const std::optional<IpAddress>& ip) {
    if (peer.listed_ip == ip) return;
    if (peer.listed_ip) {
        const auto there = by_ip_.find(*peer.listed_ip);
        std::vector<PeerConnection*>& peers = there->second;
        peers[peer.listed_at] = peers.back();
        peers[peer.listed_at]->listed_at = peer.listed_at;
        peers.pop_back();
        if (peers.empty()) by_ip_.erase(there);
    }
    if (ip) {
        std::vector<PeerConnection*>& peers = by_ip_[*ip];
        peer.listed_at = peers.size();
        peers.push_back(&peer);
    }
    peer.listed_ip = ip;
}

PeerConnection* UdpEndpoint::find_by_username(std::string_view username) {
    const auto found = by_ufrag_.find(username.substr(0, username.find(':')));
    return found == by_ufrag_.end() ? nullptr : found->second;
}

PeerConnection* UdpEndpoint::find_by_transaction(const TransactionId& transaction) {
    // The id's low 32 bits; its high ones are those of the last, or one less.
    const std::uint32_t low = load_u32(transaction.data()) ^ transaction_secret_;
    PeerId id = (last_id_ & ~PeerId{0xFFFFFFFF}) | low;
    if (id > last_id_) id -= PeerId{1} << 32;
    const auto found = peers_.find(id);
    return found == peers_.end() ? nullptr : found->second.get();
}

/// An address that answered our check belongs to that peer, whoever had it before: a browser opens
/// the next connection from a port that the last one left. One that only sent a check takes none
/// over, since it may be forged.
void UdpEndpoint::on_peer_address(PeerConnection& peer, const IcePath& path, bool validated) {
    if (validated) dialed_.set_proved(peer.id());
    std::vector<IcePath>& own = peer.addresses();
    const auto [route, added] = routes_.try_emplace(RouteKey(path), Route{&peer, validated});
    if (!added) {
        if (!validated) return;
        const bool other = route->second.peer != &peer;
        if (other) {
            std::erase_if(route->second.peer->addresses(),
                          [&path](const IcePath& each) { return each.leads_as(path); });
        }
        route->second = {&peer, true};
        if (!other) return;
    }
    own.push_back(path);
    if (own.size() > kMaxRoutesPerPeer) drop_route(peer);
}

/// A path that was proved long ago may have lost its route to others since.
void UdpEndpoint::on_peer_path(PeerConnection& peer, const IcePath& path) {
    if (!routes_.contains(RouteKey(path))) on_peer_address(peer, path, true);
    list_by_ip(peer, path.relay == 0 ? std::optional(path.remote.ip) : std::nullopt);
}

/// Whoever sees one check of the peer can make routes, by sending it again from many ports: of
/// those that nobody proved the oldest goes, and the path in use never does. A route that goes
/// comes back when its path is proved, or selected.
void UdpEndpoint::drop_route(PeerConnection& peer) {
    std::vector<IcePath>& own = peer.addresses();
    auto victim = std::find_if(own.begin(), own.end(), [this](const IcePath& path) {
        return !routes_.at(RouteKey(path)).validated;
    });
    if (victim == own.end()) {
        victim = std::find_if(own.begin(), own.end(),
                              [&peer](const IcePath& path) { return !peer.sends_on(path); });
    }
    routes_.erase(RouteKey(*victim));
    own.erase(victim);
}

void UdpEndpoint::send_datagram(PeerConnection& peer, const IcePath& path, ByteSpan datagram) {
    if (path.relay == 0) {
        socket_->send(path, datagram);
        if (socket_->queued_bytes() >= kFlushBytes) flush();
    } else if (servers_) {
        servers_->send(path, datagram);
    }
    // From a call that the user made between turns: it may have left something to poll, too.
    if (!in_turn_) mark(peer);
}

void UdpEndpoint::send_to_server(const SocketAddress& server, ByteSpan datagram) {
    socket_->send({IpAddress(), server}, datagram);
    request_turn();
}

void UdpEndpoint::on_relayed(const IcePath& path, ByteSpan datagram) {
    handle_datagram(path, datagram);
}

void UdpEndpoint::on_server_candidate(const Candidate& candidate) {
    if (options_.relay_only && candidate.relay == 0) return;
    kLog.info("event=candidate {}", format_candidate(candidate));
    for (const auto& [id, peer] : peers_) {
        peer->add_local_candidate(candidate);
        mark(*peer);
    }
}

void UdpEndpoint::on_peer_connected(PeerConnection& peer) {
    dialed_.remove(peer.id());
    ++connected_;
    ++total_connected_;
    kLog.debug("event=connected peer={} remote={}", peer.id(), peer.info().remote_address);
}

}  // namespace kollator::rtc
