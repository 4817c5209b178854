#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "rtc/data_transport.h"
#include "rtc/endpoint.h"
#include "rtc/ice_servers.h"
#include "rtc/mux/host_candidates.h"
#include "rtc/mux/udp_socket.h"
#include "rtc/peer_connection.h"
#include "rtc/pending_peers.h"
#include "rtc/sctp/sctp_association.h"
#include "rtc/sdp/build.h"
#include "rtc/sdp/description.h"

namespace kollator::rtc {

/// The Endpoint that open_endpoint gives: finds whose datagram it is, drives the timers, and serves
/// each peer that had something once a turn.
///
///   datagram ─ first byte (RFC 7983) ─ 0..3, a request ──▶ by the ufrag in its USERNAME
///                                    ├ 0..3, an answer ──▶ by the first bytes of its transaction
///                                    id └ 20..63 ───────────▶ by the address that it came from
///
/// A request with the user name of a direct dial makes a connection, where its integrity verifies
/// and the gate lets it pass.
class UdpEndpoint final : public Endpoint, private PeerHost, private IceServersHost {
 public:
    UdpEndpoint(EventLoop& loop, const Clock& clock, Random& random, const Certificate& certificate,
                EndpointOptions options, std::unique_ptr<UdpSocket> socket,
                HostCandidates candidates);
    ~UdpEndpoint() override;

    Result<Answer> accept(std::string_view offer_sdp,
                          std::unique_ptr<PeerObserver> observer) override;
    Result<LocalOffer> offer(std::unique_ptr<PeerObserver> observer) override;
    Status accept_answer(PeerId peer, std::string_view answer_sdp) override;
    Result<PeerId> dial(const DirectAddress& address,
                        std::unique_ptr<PeerObserver> observer) override;
    void accept_direct(DirectAcceptor acceptor) override { acceptor_ = std::move(acceptor); }
    std::vector<DirectAddress> direct_addresses() const override;
    Result<Answer> renegotiate(PeerId peer, std::string_view offer_sdp) override;
    Result<std::string> restart_ice(PeerId peer, const IceCredentials& remote) override;
    Status open_channel(PeerId peer, const ChannelOptions& options) override;
    Status add_remote_candidate(PeerId peer, std::string_view candidate) override;
    void close(PeerId peer, const std::string& reason) override;
    void set_reading(PeerId peer, bool on) override;
    std::vector<std::string> local_candidates() const override;
    std::uint16_t port() const override { return socket_->local_address().port; }
    std::vector<PeerInfo> peers() const override;
    std::optional<std::array<std::uint8_t, 32>> peer_fingerprint(PeerId peer) const override;
    std::uint64_t received_bytes(PeerId peer) const override;
    EndpointStats stats() const override;

 private:
    /// Where a datagram came from: its path, but for our own address.
    struct RouteKey {
        SocketAddress remote;
        std::uint32_t relay = 0;

        explicit RouteKey(const IcePath& path) : remote(path.remote), relay(path.relay) {}
        bool operator==(const RouteKey&) const = default;
    };
    struct RouteHash {
        std::size_t operator()(const RouteKey& key) const {
            return SocketAddressHash()(key.remote) ^ key.relay;
        }
    };
    struct IpHash {
        std::size_t operator()(const IpAddress& ip) const { return SocketAddressHash()({ip, 0}); }
    };
    struct Route {
        PeerConnection* peer = nullptr;
        bool validated = false;
    };

    void send_datagram(PeerConnection& peer, const IcePath& path, ByteSpan datagram) override;
    void on_peer_pending(PeerConnection& peer) override { mark(peer); }
    void on_peer_address(PeerConnection& peer, const IcePath& path, bool validated) override;
    void on_peer_path(PeerConnection& peer, const IcePath& path) override;
    void on_peer_connected(PeerConnection& peer) override;
    void send_to_server(const SocketAddress& server, ByteSpan datagram) override;
    void on_relayed(const IcePath& path, ByteSpan datagram) override;
    void on_relayed_end() override { run_turn(); }
    void on_server_candidate(const Candidate& candidate) override;

    // Input.
    void handle_datagram(const IcePath& path, ByteSpan datagram);
    void handle_stun(const IcePath& path, ByteSpan datagram);
    void handle_data(const IcePath& path, ByteSpan datagram);
    void handle_stray_data(const IcePath& path, ByteSpan datagram);
    void list_by_ip(PeerConnection& peer, const std::optional<IpAddress>& ip);
    void drop_route(PeerConnection& peer);
    PeerConnection* find_by_username(std::string_view username);
    PeerConnection* find_by_transaction(const TransactionId& transaction);

    // A turn: serve the marked, drop the finished, set the timer, flush.
    void flush();
    void on_socket_writable();
    void mark(PeerConnection& peer);
    void request_turn();
    void run_turn();
    void serve_marked(TimePoint now);
    void run_timers();
    void schedule(PeerConnection& peer);
    void set_timer(TimePoint now);
    void remove(PeerId id);

    // Making connections.
    Status check_room() const;
    Status check_not_called(const SocketAddress& address,
                            const std::array<std::uint8_t, 32>* certificate) const;
    /// How a connection begins.
    struct Beginning {
        IceRole role = IceRole::kControlled;
        Duration connect_timeout;
        int first_transmissions = IceOptions().first_transmissions;
    };
    PeerConnection& make_peer(const Beginning& beginning, IceCredentials local,
                              std::unique_ptr<PeerObserver> observer);
    IceOptions ice_options(PeerId id, IceRole role, IceCredentials local) const;
    IceCredentials new_credentials() const;
    void add_ufrag(PeerConnection& peer, const std::string& ufrag);
    DataTransportOptions transport_options(const Description& remote) const;
    LocalParameters local_parameters(const PeerConnection& peer) const;
    std::vector<Candidate> candidates() const;
    void add_remote(PeerConnection& peer, const Candidate& candidate);
    Status restart(PeerConnection& peer, const IceCredentials& remote);
    PeerConnection* accept_direct_check(const IcePath& path, ByteSpan datagram,
                                        const StunMessage& message);

    EventLoop& loop_;
    const Clock& clock_;
    Random& random_;
    const Certificate& certificate_;
    const EndpointOptions options_;
    mutable HostCandidates host_candidates_;  ///< read anew as they are asked for
    const std::uint32_t transaction_secret_;

    std::shared_ptr<SctpStack> stack_;  ///< usrsctp: with every other endpoint
    std::unique_ptr<UdpSocket> socket_;
    std::unique_ptr<IceServers> servers_;  ///< null without any
    std::unordered_map<PeerId, std::unique_ptr<PeerConnection>> peers_;
    std::unordered_map<std::string, PeerConnection*, KeyedHash, std::equal_to<>> by_ufrag_;
    std::unordered_map<RouteKey, Route, RouteHash> routes_;
    /// Those that are sent to directly, by the address without its port.
    std::unordered_map<IpAddress, std::vector<PeerConnection*>, IpHash> by_ip_;
    std::deque<std::pair<TimePoint, SocketAddress>> strays_;  ///< asked about of late
    std::set<std::pair<TimePoint, PeerId>> deadlines_;
    std::vector<PeerId> marked_;
    DirectAcceptor acceptor_;
    DirectGate gate_;
    PendingPeers dialed_;
    Timer timer_;
    std::optional<TimePoint> timer_at_;
    PeerId last_id_ = 0;
    std::size_t connected_ = 0;
    std::uint64_t total_connected_ = 0;
    bool in_turn_ = false;
    bool turn_requested_ = false;
    /// Tasks that were posted look here before they touch the endpoint.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kollator::rtc
