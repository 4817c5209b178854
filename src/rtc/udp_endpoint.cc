#include "rtc/udp_endpoint.h"

#include <algorithm>

#include "base/log.h"
#include "rtc/certificate.h"
#include "rtc/sdp/answer.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// What the peer may send us at most, in one message (protocol.md, 2).
constexpr std::size_t kMaxMessageBytes = 262144;
// Addresses of one peer that lead to it; a browser has some, one for each of its interfaces.
constexpr std::size_t kMaxRoutesPerPeer = 32;
// A peer's checks reach us as soon as it has the answer, and ours follow at once; checks of our own
// accord are for the case that we are behind a NAT. Sent at once they would arrive before the
// answer: libdatachannel 0.24 on the same machine then ends its handshake before it has stored our
// fingerprint, and fails it.
constexpr Duration kOrdinaryChecksAfter = std::chrono::seconds(1);

}  // namespace

UdpEndpoint::UdpEndpoint(EventLoop& loop, const Clock& clock, Random& random,
                         const Certificate& certificate, EndpointOptions options,
                         std::unique_ptr<UdpSocket> socket, std::vector<Candidate> candidates)
    : loop_(loop),
      clock_(clock),
      random_(random),
      certificate_(certificate),
      options_(std::move(options)),
      candidates_(std::move(candidates)),
      transaction_secret_(random.u32()),
      stack_(make_usrsctp_stack({options_.buffer_budget_bytes, options_.buffer_budget_bytes})),
      socket_(std::move(socket)),
      timer_(loop) {
    socket_->start(
        [this](const IcePath& path, ByteSpan datagram) { handle_datagram(path, datagram); },
        [this] { run_turn(); });
}

UdpEndpoint::~UdpEndpoint() {
    *alive_ = false;
    in_turn_ = true;
    for (const auto& [id, peer] : peers_) peer->abandon();
    socket_->flush();
    peers_.clear();
}

Result<Answer> UdpEndpoint::accept(std::string_view offer_sdp,
                                   std::unique_ptr<PeerObserver> observer) {
    const Result<Offer> offer = parse_offer(offer_sdp);
    if (!offer.ok()) return offer.error();
    if (peers_.size() >= options_.max_connections) {
        return make_error(ErrorCode::kLimit, "too many connections");
    }
    PeerOptions options = peer_options(*offer);
    Answer answer{options.id, answer_sdp(*offer, options)};

    auto created = std::make_unique<PeerConnection>(clock_.now(), std::move(options), certificate_,
                                                    *stack_, random_, static_cast<PeerHost&>(*this),
                                                    std::move(observer));
    PeerConnection& peer = *created;
    for (const Candidate& candidate : candidates_) peer.ice().add_local_candidate(candidate);
    for (const Candidate& candidate : offer->candidates) peer.ice().add_remote_candidate(candidate);
    by_ufrag_.emplace(peer.ice().local_credentials().ufrag, &peer);
    peers_.emplace(peer.id(), std::move(created));
    mark(peer);
    return answer;
}

PeerOptions UdpEndpoint::peer_options(const Offer& offer) {
    PeerOptions options;
    options.id = ++last_id_;
    do {
        options.ice.local = make_ice_credentials(random_);
    } while (by_ufrag_.contains(options.ice.local.ufrag));
    // RFC 8445 6.1.1: against a lite peer the full agent controls, whoever offered.
    options.ice.role = offer.ice_lite ? IceRole::kControlling : IceRole::kControlled;
    options.ice.transaction_prefix = static_cast<std::uint32_t>(options.id) ^ transaction_secret_;
    options.ice.ipv6 = socket_->local_address().ip.is_v6();
    options.ice.consent_timeout = options_.consent_timeout;
    options.ice.ordinary_checks_from = clock_.now() + kOrdinaryChecksAfter;
    options.remote_ice = offer.ice;
    options.connect_timeout = options_.connect_timeout;

    DataTransportOptions& transport = options.transport;
    // A worker that begins the handshake often does so before the peer has the answer, and then
    // waits a second for the retransmission: passive wherever the offer leaves the choice.
    transport.role = offer.setup == DtlsSetup::kPassive ? DtlsRole::kClient : DtlsRole::kServer;
    transport.remote_fingerprint = offer.fingerprint;
    transport.remote_sctp_port = offer.sctp_port;
    transport.remote_max_message_bytes = offer.max_message_bytes;
    transport.send_buffer_bytes = options_.send_buffer_bytes;
    transport.receive_buffer_bytes = options_.receive_buffer_bytes;
    transport.connect_timeout = options_.connect_timeout;
    return options;
}

std::string UdpEndpoint::answer_sdp(const Offer& offer, const PeerOptions& options) const {
    AnswerParameters parameters;
    parameters.session_id = random_.u64() >> 1;
    parameters.ice = options.ice.local;
    parameters.fingerprint = certificate_.fingerprint_text();
    parameters.dtls_client = options.transport.role == DtlsRole::kClient;
    parameters.max_message_bytes = kMaxMessageBytes;
    parameters.candidates = candidates_;
    return build_answer(offer, parameters);
}

Status UdpEndpoint::add_remote_candidate(PeerId id, std::string_view text) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    if (text.empty()) return {};
    const Result<std::optional<Candidate>> candidate = parse_candidate(text);
    if (!candidate.ok()) return candidate.error();
    if (*candidate) {
        found->second->ice().add_remote_candidate(**candidate);
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

std::vector<PeerInfo> UdpEndpoint::peers() const {
    std::vector<PeerInfo> infos;
    infos.reserve(peers_.size());
    for (const auto& [id, peer] : peers_) infos.push_back(peer->info());
    return infos;
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
    const SctpStats sctp = stack_->stats();
    stats.retransmitted_bytes = sctp.retransmitted_bytes;
    stats.buffered_bytes = sctp.buffered_bytes;
    return stats;
}

void UdpEndpoint::handle_datagram(const IcePath& path, ByteSpan datagram) {
    in_turn_ = true;  // until run_turn, at the end of the batch
    // RFC 7983 7.
    const std::uint8_t first = datagram[0];
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
    PeerConnection* const peer = request ? find_by_username(message->username.value_or(""))
                                         : find_by_transaction(message->transaction);
    if (peer == nullptr) return;
    peer->handle_stun(clock_.now(), path, datagram);
    mark(*peer);
}

void UdpEndpoint::handle_data(const IcePath& path, ByteSpan datagram) {
    const auto route = routes_.find(path.remote);
    if (route == routes_.end()) return;
    PeerConnection& peer = *route->second.peer;
    peer.handle_data(clock_.now(), path, datagram, route->second.validated);
    mark(peer);
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
void UdpEndpoint::on_peer_address(PeerConnection& peer, const SocketAddress& remote,
                                  bool validated) {
    std::vector<SocketAddress>& own = peer.addresses();
    const auto [route, added] = routes_.try_emplace(remote, Route{&peer, validated});
    if (!added) {
        if (!validated) return;
        const bool other = route->second.peer != &peer;
        if (other) std::erase(route->second.peer->addresses(), remote);
        route->second = {&peer, true};
        if (!other) return;
    }
    own.push_back(remote);
    if (own.size() > kMaxRoutesPerPeer) {
        routes_.erase(own.front());
        own.erase(own.begin());
    }
}

void UdpEndpoint::send_datagram(PeerConnection& peer, const IcePath& path, ByteSpan datagram) {
    socket_->send(path, datagram);
    // From a call that the user made between turns: it may have left something to poll, too.
    if (!in_turn_) mark(peer);
}

void UdpEndpoint::on_peer_connected(PeerConnection& peer) {
    ++connected_;
    ++total_connected_;
    kLog.debug("event=connected peer={} remote={}", peer.id(), peer.info().remote_address);
}

}  // namespace kollator::rtc
