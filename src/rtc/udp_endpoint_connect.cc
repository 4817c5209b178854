// How an endpoint's connections come to be: offers, answers, direct dial, ICE restarts.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "rtc/certificate.h"
#include "rtc/sdp/build.h"
#include "rtc/stun/stun_message.h"
#include "rtc/udp_endpoint.h"

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// What the peer may send us at most, in one message (protocol.md, 2).
constexpr std::size_t kMaxMessageBytes = 262144;
// What a peer that dials directly is taken to accept, since nothing told (protocol.md, 1.3).
constexpr std::size_t kDirectMessageBytes = 65536;
// A peer's checks reach us as soon as it has the answer, and ours follow at once; checks of our own
// accord are for the case that we are behind a NAT. Sent at once they would arrive before the
// answer: libdatachannel 0.24 on the same machine then ends its handshake before it has stored our
// fingerprint, and fails it.
constexpr Duration kOrdinaryChecksAfter = std::chrono::seconds(1);
// To an address that only a stranger's check named. With the answer they are less than three times
// the check's bytes, which is what RFC 9000 8.1 allows QUIC. Further checks of the client's, which
// it repeats, make us send more.
constexpr int kDirectTransmissions = 2;
// Of ICE restarts, by which a late check may still come.
constexpr std::size_t kMaxUfragsPerPeer = 4;

}  // namespace

Status UdpEndpoint::check_room() const {
    if (peers_.size() < options_.max_connections) return {};
    return make_error(ErrorCode::kLimit, "too many connections");
}

/// All but ICE's checks is told apart by the remote address alone: of two connections from this
/// socket to one address each would be given what is the other's. `certificate`: null where no
/// other one can be there; what descriptions name may be private addresses of different networks.
Status UdpEndpoint::check_not_called(const SocketAddress& address,
                                     const std::array<std::uint8_t, 32>* certificate) const {
    const auto lives = [certificate](const PeerConnection& peer) {
        return !peer.closing() &&
               (certificate == nullptr ||
                (peer.remote() && peer.remote()->remote_fingerprint == *certificate));
    };
    const auto route = routes_.find(RouteKey({IpAddress(), address}));
    bool taken = route != routes_.end() && route->second.validated && lives(*route->second.peer);
    for (const auto& [id, peer] : peers_) {
        const std::vector<SocketAddress>& called = peer->called;
        taken = taken ||
                (std::find(called.begin(), called.end(), address) != called.end() && lives(*peer));
    }
    if (!taken) return {};
    return make_error(ErrorCode::kCancelled,
                      fmt::format("this endpoint has a connection to {} already", address.text()));
}

std::vector<Candidate> UdpEndpoint::candidates() const {
    std::vector<Candidate> all;
    if (!options_.relay_only) all = host_candidates_.at(clock_.now());
    if (!servers_) return all;
    for (Candidate& candidate : servers_->candidates()) {
        if (options_.relay_only && candidate.relay == 0) continue;
        const bool known = std::any_of(all.begin(), all.end(), [&candidate](const auto& each) {
            return each.address == candidate.address;
        });
        if (!known) all.push_back(std::move(candidate));
    }
    return all;
}

std::vector<std::string> UdpEndpoint::local_candidates() const {
    std::vector<std::string> texts;
    for (const Candidate& candidate : candidates()) texts.push_back(format_candidate(candidate));
    return texts;
}

/// The peer's checks come through a relay only where it has a permission: given at once, not with
/// our first check. The agent's bound on candidates bounds what a peer gets, too.
void UdpEndpoint::add_remote(PeerConnection& peer, const Candidate& candidate) {
    const bool taken = peer.ice().add_remote_candidate(candidate);
    if (taken && servers_) servers_->permit(candidate.address.ip);
}

IceCredentials UdpEndpoint::new_credentials() const {
    IceCredentials credentials;
    do {
        credentials = make_ice_credentials(random_);
    } while (by_ufrag_.contains(credentials.ufrag));
    return credentials;
}

IceOptions UdpEndpoint::ice_options(PeerId id, IceRole role, IceCredentials local) const {
    IceOptions options;
    options.role = role;
    options.local = std::move(local);
    options.transaction_prefix = static_cast<std::uint32_t>(id) ^ transaction_secret_;
    options.ipv6 = socket_->local_address().ip.is_v6();
    options.relay_only = options_.relay_only;
    options.consent_timeout = options_.consent_timeout;
    return options;
}

PeerConnection& UdpEndpoint::make_peer(const Beginning& beginning, IceCredentials local,
                                       std::unique_ptr<PeerObserver> observer) {
    PeerOptions options;
    options.id = ++last_id_;
    options.ice = ice_options(options.id, beginning.role, std::move(local));
    options.ice.first_transmissions = beginning.first_transmissions;
    if (beginning.role == IceRole::kControlled) {
        options.ice.ordinary_checks_from = clock_.now() + kOrdinaryChecksAfter;
    }
    options.connect_timeout = beginning.connect_timeout;
    const std::string ufrag = options.ice.local.ufrag;
    auto made = std::make_unique<PeerConnection>(clock_.now(), std::move(options), certificate_,
                                                 *stack_, random_, static_cast<PeerHost&>(*this),
                                                 std::move(observer));
    PeerConnection& peer = *made;
    for (const Candidate& candidate : candidates()) peer.ice().add_local_candidate(candidate);
    add_ufrag(peer, ufrag);
    peers_.emplace(peer.id(), std::move(made));
    mark(peer);
    return peer;
}

void UdpEndpoint::add_ufrag(PeerConnection& peer, const std::string& ufrag) {
    by_ufrag_.emplace(ufrag, &peer);
    peer.ufrags.push_back(ufrag);
    if (peer.ufrags.size() <= kMaxUfragsPerPeer) return;
    by_ufrag_.erase(peer.ufrags.front());
    peer.ufrags.erase(peer.ufrags.begin());
}

DataTransportOptions UdpEndpoint::transport_options(const Description& remote) const {
    DataTransportOptions transport;
    // A worker that begins the handshake often does so before the peer has the answer, and then
    // waits a second for the retransmission: passive wherever the offer leaves the choice.
    transport.role = remote.setup == DtlsSetup::kPassive ? DtlsRole::kClient : DtlsRole::kServer;
    transport.remote_fingerprint = remote.fingerprint;
    transport.remote_sctp_port = remote.sctp_port;
    transport.remote_max_message_bytes = remote.max_message_bytes;
    transport.send_buffer_bytes = options_.send_buffer_bytes;
    transport.receive_buffer_bytes = options_.receive_buffer_bytes;
    transport.connect_timeout = options_.connect_timeout;
    return transport;
}

LocalParameters UdpEndpoint::local_parameters(const PeerConnection& peer) const {
    LocalParameters parameters;
    parameters.session_id = peer.local_session.id;
    parameters.session_version = peer.local_session.version;
    parameters.ice = peer.ice().local_credentials();
    parameters.fingerprint = certificate_.fingerprint_text();
    parameters.max_message_bytes = kMaxMessageBytes;
    parameters.candidates = candidates();
    parameters.end_of_candidates = !servers_ || !servers_->gathering();
    if (peer.remote()) {
        const bool client = peer.remote()->role == DtlsRole::kClient;
        parameters.setup = client ? DtlsSetup::kActive : DtlsSetup::kPassive;
    } else {
        parameters.setup = DtlsSetup::kActpass;
    }
    return parameters;
}

Result<Answer> UdpEndpoint::accept(std::string_view offer_sdp,
                                   std::unique_ptr<PeerObserver> observer) {
    const Result<Description> offer = parse_offer(offer_sdp);
    if (!offer.ok()) return offer.error();
    if (const Status room = check_room(); !room.ok()) return room.error();
    // RFC 8445 6.1.1: against a lite peer the full agent controls, whoever offered.
    const IceRole role = offer->ice_lite ? IceRole::kControlling : IceRole::kControlled;
    PeerConnection& peer =
        make_peer({role, options_.connect_timeout}, new_credentials(), std::move(observer));
    peer.set_remote(offer->ice, transport_options(*offer));
    for (const Candidate& candidate : offer->candidates) add_remote(peer, candidate);
    peer.remote_session_id = offer->session_id;
    peer.local_session = {random_.u64() >> 1, 1};
    return Answer{peer.id(), build_answer(*offer, local_parameters(peer))};
}

Result<LocalOffer> UdpEndpoint::offer(std::unique_ptr<PeerObserver> observer) {
    if (const Status room = check_room(); !room.ok()) return room.error();
    PeerConnection& peer = make_peer({IceRole::kControlling, options_.connect_timeout},
                                     new_credentials(), std::move(observer));
    peer.local_session = {random_.u64() >> 1, 1};
    return LocalOffer{peer.id(), build_offer(local_parameters(peer))};
}

Status UdpEndpoint::accept_answer(PeerId id, std::string_view answer_sdp) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    PeerConnection& peer = *found->second;
    if (peer.remote()) return make_error(ErrorCode::kInvalid, "there was an answer already");
    const Result<Description> answer = parse_answer(answer_sdp);
    if (!answer.ok()) return answer.error();
    for (const Candidate& candidate : answer->candidates) {
        const Status free = check_not_called(candidate.address, &answer->fingerprint);
        if (!free.ok()) return free;
    }
    peer.set_remote(answer->ice, transport_options(*answer));
    peer.remote_session_id = answer->session_id;
    for (const Candidate& candidate : answer->candidates) {
        peer.called.push_back(candidate.address);
        add_remote(peer, candidate);
    }
    mark(peer);
    return {};
}

Result<PeerId> UdpEndpoint::dial(const DirectAddress& address,
                                 std::unique_ptr<PeerObserver> observer) {
    const bool v6 = socket_->local_address().ip.is_v6();
    if (address.address.ip.is_v6() ? !v6 : v6 && !socket_->dual_stack()) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("{} cannot be reached from {}", address.address.text(),
                                      socket_->local_address().text()));
    }
    if (const Status room = check_room(); !room.ok()) return room.error();
    if (Status free = check_not_called(address.address, nullptr); !free.ok()) return free.error();
    IceCredentials local = new_credentials();
    IceCredentials remote = direct_credentials(local.password);
    PeerConnection& peer = make_peer({IceRole::kControlling, options_.direct_timeout},
                                     std::move(local), std::move(observer));
    Description worker;
    worker.setup = DtlsSetup::kPassive;
    worker.fingerprint = address.certificate;
    worker.max_message_bytes = kMaxMessageBytes;
    peer.set_remote(std::move(remote), transport_options(worker));
    Candidate candidate;
    candidate.priority = candidate_priority(CandidateType::kHost, 65535);
    candidate.address = address.address;
    peer.called = {address.address};
    add_remote(peer, candidate);
    return peer.id();
}

/// REQUIRES: a request that no connection's ufrag stands in. Gives the connection that it makes.
PeerConnection* UdpEndpoint::accept_direct_check(const IcePath& path, ByteSpan datagram,
                                                 const StunMessage& message) {
    if (!acceptor_ || !message.username) return nullptr;
    // RFC 8445 7.1 and 7.3: every check has them; without them one would be shorter, beside what we
    // send for it.
    if (!message.priority || !message.ice_controlling) return nullptr;
    std::optional<IceCredentials> client = direct_client(*message.username);
    if (!client) return nullptr;
    IceCredentials local = direct_credentials(client->password);
    // What is not authentic leaves nothing behind, nor does what the gate stops.
    if (!verify_integrity(datagram, message, local.password) || gate_.is_retired(local.ufrag) ||
        !check_room().ok() || !gate_.admit(clock_.now(), path.remote.ip)) {
        return nullptr;
    }
    const PendingPeers::Room room = dialed_.make_room(path.remote.ip);
    if (!room.there) return nullptr;
    if (room.gives_way) {
        PeerConnection& oldest = *peers_.at(*room.gives_way);
        oldest.give_way();
        mark(oldest);
    }
    std::unique_ptr<PeerObserver> observer = acceptor_(last_id_ + 1);
    if (!observer) return nullptr;
    PeerConnection& peer =
        make_peer({IceRole::kControlled, options_.direct_timeout, kDirectTransmissions},
                  std::move(local), std::move(observer));
    peer.set_dialed_directly();
    dialed_.add(peer.id(), path.remote.ip);
    Description unknown;
    unknown.setup = DtlsSetup::kActive;
    unknown.max_message_bytes = kDirectMessageBytes;
    DataTransportOptions transport = transport_options(unknown);
    transport.remote_fingerprint.reset();
    peer.set_remote(std::move(*client), std::move(transport));
    kLog.debug("event=dialed peer={} remote={}", peer.id(), path.remote.text());
    return &peer;
}

std::vector<DirectAddress> UdpEndpoint::direct_addresses() const {
    std::vector<DirectAddress> addresses;
    if (!acceptor_) return addresses;
    for (const Candidate& candidate : host_candidates_.at(clock_.now())) {
        addresses.push_back({candidate.address, certificate_.fingerprint()});
    }
    return addresses;
}

Result<Answer> UdpEndpoint::renegotiate(PeerId id, std::string_view offer_sdp) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    PeerConnection& peer = *found->second;
    const Result<Description> offer = parse_offer(offer_sdp);
    if (!offer.ok()) return offer.error();
    if (!peer.remote() || offer->session_id != peer.remote_session_id ||
        offer->fingerprint != peer.remote()->remote_fingerprint) {
        return make_error(ErrorCode::kNotFound, "an offer of another connection");
    }
    if (offer->ice != peer.ice().remote_credentials()) {
        if (const Status status = restart(peer, offer->ice); !status.ok()) return status.error();
    }
    ++peer.local_session.version;
    for (const Candidate& candidate : offer->candidates) add_remote(peer, candidate);
    return Answer{id, build_answer(*offer, local_parameters(peer))};
}

Result<std::string> UdpEndpoint::restart_ice(PeerId id, const IceCredentials& remote) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    if (const Status good = check_ice_credentials(remote); !good.ok()) return good.error();
    PeerConnection& peer = *found->second;
    if (remote == peer.ice().remote_credentials()) return std::string();
    if (!peer.remote()) return make_error(ErrorCode::kInvalid, "the answer is not there yet");
    if (const Status status = restart(peer, remote); !status.ok()) return status.error();
    return build_fragment(local_parameters(peer));
}

Status UdpEndpoint::restart(PeerConnection& peer, const IceCredentials& remote) {
    if (!peer.may_restart_ice(clock_.now())) {
        return make_error(ErrorCode::kLimit, "too many restarts of ICE");
    }
    IceOptions options = ice_options(peer.id(), peer.ice().role(), new_credentials());
    options.ordinary_checks_from = clock_.now() + kOrdinaryChecksAfter;
    add_ufrag(peer, options.local.ufrag);
    peer.restart_ice(clock_.now(), std::move(options), remote);
    for (const Candidate& candidate : candidates()) peer.ice().add_local_candidate(candidate);
    kLog.debug("event=ice-restart peer={}", peer.id());
    mark(peer);
    return {};
}

Status UdpEndpoint::open_channel(PeerId id, const ChannelOptions& options) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return make_error(ErrorCode::kNotFound, "no such peer");
    const Status status = found->second->open_channel(options);
    if (status.ok()) mark(*found->second);
    return status;
}

}  // namespace kollator::rtc
