#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "rtc/data_channel.h"
#include "rtc/direct_address.h"
#include "rtc/direct_gate.h"
#include "rtc/sctp/sctp_association.h"

namespace kollator::rtc {

class Certificate;

/// Names a peer connection for the life of the process; never used twice.
using PeerId = std::uint64_t;

/// Told about one peer connection, on the loop's thread, never from within a call to the endpoint.
class PeerObserver {
 public:
    virtual ~PeerObserver() = default;
    virtual void on_connected() {}
    /// A candidate of ours was found after the description was made: "candidate:…", for the peer.
    /// Only before on_connected.
    virtual void on_local_candidate(const std::string&) {}
    /// A channel is open, by the peer or by us (open_channel). Gives its observer, which the
    /// connection keeps until after on_close; null refuses the channel, which is then reset.
    virtual std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) = 0;
    /// The last call. `reason` is for logs: "peer closed", "consent expired", "dtls failed: …".
    virtual void on_closed(const std::string& reason) = 0;
};

struct PeerInfo {
    PeerId id = 0;
    bool connected = false;
    std::string remote_address;  ///< "192.0.2.1:50000", of the selected pair; empty before
    bool relayed = false;        ///< the selected pair goes through a TURN server of ours
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::size_t channels = 0;
    bool zero_checksum = false;  ///< SCTP packets go to it without a checksum (RFC 9653)
    /// SHA-256 of the certificate that the peer proved to own; empty before connected.
    std::optional<std::array<std::uint8_t, 32>> remote_fingerprint;
};

struct StunServerOptions {
    std::string host;  ///< a name or a numeric address
    std::uint16_t port = 3478;
};

enum class TurnTransport : std::uint8_t { kUdp, kTcp, kTls };

struct TurnServerOptions {
    std::string host;  ///< a name or a numeric address; with kTls the certificate's name
    std::uint16_t port = 3478;
    TurnTransport transport = TurnTransport::kUdp;
    std::string username;
    std::string password;
};

struct IceServerOptions {
    std::vector<StunServerOptions> stun;
    std::vector<TurnServerOptions> turn;
    /// What coturn calls static-auth-secret: user names and passwords are made from it.
    std::string turn_secret;
    std::string turn_ca_file;  ///< PEM; empty: the system's authorities

    bool empty() const { return stun.empty() && turn.empty(); }
};

struct EndpointOptions {
    std::string bind_address = "0.0.0.0";  ///< or "::", dual stack
    std::uint16_t port = 0;                ///< UDP; 0: any, see port()
    /// Put into answers instead of the machine's own addresses (NAT 1:1). Numeric.
    std::vector<std::string> announce_addresses;
    /// Names loopback addresses in answers beside the others, for peers on the same machine.
    bool include_loopback = false;
    std::size_t max_connections = 4096;             ///< over it accept() gives kLimit
    std::size_t send_buffer_bytes = 256 * 1024;     ///< for each association
    std::size_t receive_buffer_bytes = 256 * 1024;  ///< for each association
    /// What the send buffers of all associations hold together, and as much again for what their
    /// receive windows promise beyond the least (SctpStackOptions).
    std::size_t buffer_budget_bytes = 256 * 1024 * 1024;
    SctpImplementation sctp = SctpImplementation::kOwn;
    Duration connect_timeout =
        std::chrono::seconds(30);  ///< from the answer to an open association
    Duration consent_timeout = std::chrono::seconds(12);  ///< silence after which a peer is gone
    IceServerOptions servers;                             ///< for reflexive and relayed candidates
    /// Peers are reached through TURN servers only, and learn no other address.
    bool relay_only = false;
    DirectLimits direct;
    Duration direct_timeout = std::chrono::seconds(10);  ///< connect_timeout, of direct dial
};

/// Of peers that dial directly: DirectLimits::max_pending, or what stands in its place.
std::size_t max_pending(const EndpointOptions& options);

struct EndpointStats {
    std::size_t active = 0;   ///< connected now
    std::size_t pending = 0;  ///< answered, not yet connected
    std::uint64_t total = 0;  ///< ever connected
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t send_calls = 0;  ///< system calls, for packets a call
    std::uint64_t receive_calls = 0;
    std::uint64_t packets_dropped = 0;      ///< not sent: the kernel refused them, or had no room
    std::uint64_t retransmitted_bytes = 0;  ///< user data that SCTP sent again
    std::size_t buffered_bytes = 0;         ///< sent and not acknowledged, or waiting to be sent
    std::size_t unread_bytes = 0;           ///< received, and not whole or not read
};

struct Answer {
    PeerId peer = 0;
    std::string sdp;
};

struct LocalOffer {
    PeerId peer = 0;
    std::string sdp;
};

/// One UDP socket and all peer connections on it, which are told apart by the peers' addresses: to
/// another endpoint it has one connection at a time; who wants two opens two endpoints. dial() and
/// accept_answer() refuse a second one while the first lives. Of peers that come, one that proves
/// to receive at an address has it from then on: the one before it was there is taken for dead, as
/// where a browser uses a port again, and ends by its silence.
///
/// Loop thread only; all endpoints of a process
/// share one thread. Knows no chunks. Destroying it ends every connection: the peers are told,
/// observers are destroyed without a further call. Not to be destroyed from within an observer's
/// call.
class Endpoint {
 public:
    virtual ~Endpoint() = default;

    /// Answers an SDP offer; the answer has every candidate of this endpoint in it that is known
    /// by now. One that a STUN or TURN server tells later goes to on_local_candidate.
    /// kInvalid: malformed SDP (the detail says what), kNotFound: no data channel section in it,
    /// kLimit: too many connections.
    virtual Result<Answer> accept(std::string_view offer_sdp,
                                  std::unique_ptr<PeerObserver> observer) = 0;

    /// Makes an offer; `observer` is told once the peer's answer was accepted and it is connected.
    /// kLimit: too many connections.
    virtual Result<LocalOffer> offer(std::unique_ptr<PeerObserver> observer) = 0;
    /// The answer to the offer of `peer`. kNotFound: no such peer, or no data channel section in
    /// it. kInvalid: malformed, or there was an answer already. kCancelled: another connection of
    /// this endpoint to this peer lives. The connection stays as it was.
    virtual Status accept_answer(PeerId peer, std::string_view answer_sdp) = 0;

    /// Connects to an endpoint that takes direct dial, without signaling. kLimit: too many
    /// connections. kCancelled: one to this address lives. kInvalid: an address of a family that
    /// this endpoint's socket cannot reach.
    virtual Result<PeerId> dial(const DirectAddress& address,
                                std::unique_ptr<PeerObserver> observer) = 0;
    /// Gives the observer of a peer that dials directly; null refuses it.
    using DirectAcceptor = std::function<std::unique_ptr<PeerObserver>(PeerId)>;
    /// From now on peers may dial directly, within EndpointOptions::direct. Empty: no more.
    virtual void accept_direct(DirectAcceptor acceptor) = 0;
    /// Where peers can dial, one for each address that answers name, the best first.
    virtual std::vector<DirectAddress> direct_addresses() const = 0;

    /// A further offer of a peer: an ICE restart (RFC 8445 9) where its credentials are new. What
    /// runs above ICE stays. kNotFound: no such peer, or the offer is of another connection (its
    /// session id or fingerprint differs). kInvalid: malformed. kLimit: too many restarts of late.
    virtual Result<Answer> renegotiate(PeerId peer, std::string_view offer_sdp) = 0;
    /// The same from a fragment (RFC 8840): gives ours, empty where these credentials are the
    /// peer's already. kNotFound: no such peer. kInvalid: credentials too short or too long.
    /// kLimit: too many restarts of late.
    virtual Result<std::string> restart_ice(PeerId peer, const IceCredentials& remote) = 0;

    /// Opens a channel; the observer's on_channel follows once the peer acknowledged it. May be
    /// called before the connection is there. kNotFound: no such peer. kLimit: too many channels.
    /// kInvalid: label or protocol over 1,024 bytes.
    virtual Status open_channel(PeerId peer, const ChannelOptions& options) = 0;

    /// A trickled candidate of the peer: the value of `a=candidate:…`, with or without "a=" and
    /// "candidate:". Empty: the end of candidates. kNotFound: no such peer. kInvalid: malformed.
    /// mDNS names are tolerated.
    virtual Status add_remote_candidate(PeerId peer, std::string_view candidate) = 0;

    /// Ends a connection: SCTP abort, DTLS close_notify; on_closed follows.
    virtual void close(PeerId peer, const std::string& reason) = 0;

    /// While off, the peer's messages wait here within its receive window, so that a peer that
    /// sends faster than they are used is slowed down. On at first; nothing before it is connected,
    /// and with usrsctp.
    virtual void set_reading(PeerId peer, bool on) = 0;

    virtual std::uint16_t port() const = 0;
    /// What descriptions name now: "candidate:…".
    virtual std::vector<std::string> local_candidates() const = 0;
    virtual std::vector<PeerInfo> peers() const = 0;
    /// SHA-256 of the certificate that the peer proved to own; empty before it is connected, and
    /// where there is no such peer.
    virtual std::optional<std::array<std::uint8_t, 32>> peer_fingerprint(PeerId peer) const = 0;
    /// DTLS datagrams of the peer, together; zero where there is no such peer. Grows with whatever
    /// it sends, acknowledgements and parts of messages too, but not with ICE's checks.
    virtual std::uint64_t received_bytes(PeerId peer) const = 0;
    virtual EndpointStats stats() const = 0;
};

/// Binds the socket. `certificate`, `clock`, `random` and `loop` outlive the endpoint.
/// kUnavailable: the port is taken or the address is not this machine's.
Result<std::unique_ptr<Endpoint>> open_endpoint(EventLoop& loop, const Clock& clock, Random& random,
                                                const Certificate& certificate,
                                                EndpointOptions options);

}  // namespace kollator::rtc
