#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "rtc/data_transport.h"
#include "rtc/endpoint.h"
#include "rtc/mux/udp_socket.h"
#include "rtc/peer_connection.h"
#include "rtc/sctp/sctp_association.h"
#include "rtc/sdp/offer.h"

namespace kollator::rtc {

/// The Endpoint that open_endpoint gives: finds whose datagram it is, drives the timers, and serves
/// each peer that had something once a turn.
///
///   datagram ─ first byte (RFC 7983) ─ 0..3, a request ──▶ by the ufrag in its USERNAME
///                                    ├ 0..3, an answer ──▶ by the first bytes of its transaction
///                                    id └ 20..63 ───────────▶ by the address that it came from
class UdpEndpoint final : public Endpoint, private PeerHost {
 public:
    UdpEndpoint(EventLoop& loop, const Clock& clock, Random& random, const Certificate& certificate,
                EndpointOptions options, std::unique_ptr<UdpSocket> socket,
                std::vector<Candidate> candidates);
    ~UdpEndpoint() override;

    Result<Answer> accept(std::string_view offer_sdp,
                          std::unique_ptr<PeerObserver> observer) override;
    Status add_remote_candidate(PeerId peer, std::string_view candidate) override;
    void close(PeerId peer, const std::string& reason) override;
    std::uint16_t port() const override { return socket_->local_address().port; }
    std::vector<PeerInfo> peers() const override;
    EndpointStats stats() const override;

 private:
    struct Route {
        PeerConnection* peer = nullptr;
        bool validated = false;
    };

    void send_datagram(PeerConnection& peer, const IcePath& path, ByteSpan datagram) override;
    void on_peer_address(PeerConnection& peer, const SocketAddress& remote,
                         bool validated) override;
    void on_peer_connected(PeerConnection& peer) override;

    // Input.
    void handle_datagram(const IcePath& path, ByteSpan datagram);
    void handle_stun(const IcePath& path, ByteSpan datagram);
    void handle_data(const IcePath& path, ByteSpan datagram);
    PeerConnection* find_by_username(std::string_view username);
    PeerConnection* find_by_transaction(const TransactionId& transaction);

    // A turn: serve the marked, drop the finished, set the timer, flush.
    void mark(PeerConnection& peer);
    void request_turn();
    void run_turn();
    void serve_marked(TimePoint now);
    void run_timers();
    void schedule(PeerConnection& peer);
    void set_timer(TimePoint now);
    void remove(PeerId id);

    PeerOptions peer_options(const Offer& offer);
    std::string answer_sdp(const Offer& offer, const PeerOptions& options) const;

    EventLoop& loop_;
    const Clock& clock_;
    Random& random_;
    const Certificate& certificate_;
    const EndpointOptions options_;
    const std::vector<Candidate> candidates_;
    const std::uint32_t transaction_secret_;

    std::unique_ptr<SctpStack> stack_;
    std::unique_ptr<UdpSocket> socket_;
    std::unordered_map<PeerId, std::unique_ptr<PeerConnection>> peers_;
    std::unordered_map<std::string, PeerConnection*, KeyedHash, std::equal_to<>> by_ufrag_;
    std::unordered_map<SocketAddress, Route, SocketAddressHash> routes_;
    std::set<std::pair<TimePoint, PeerId>> deadlines_;
    std::vector<PeerId> marked_;
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
