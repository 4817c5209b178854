#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "rtc/data_transport.h"
#include "rtc/endpoint.h"
#include "rtc/ice/ice_agent.h"

namespace kollator::rtc {

class PeerConnection;

/// What a peer connection needs of the endpoint that holds it.
class PeerHost {
 public:
    virtual ~PeerHost() = default;
    /// Queues one datagram.
    virtual void send_datagram(PeerConnection& peer, const IcePath& path, ByteSpan datagram) = 0;
    /// The peer sent an authentic check from there (not `validated`), or proved that it receives
    /// there: what comes from it is for this connection.
    virtual void on_peer_address(PeerConnection& peer, const SocketAddress& remote,
                                 bool validated) = 0;
    virtual void on_peer_connected(PeerConnection& peer) = 0;
};

struct PeerOptions {
    PeerId id = 0;
    IceOptions ice;
    IceCredentials remote_ice;
    DataTransportOptions transport;
    Duration connect_timeout = std::chrono::seconds(30);
};

/// One peer: ICE below, DTLS, SCTP and data channels above it. Sans-IO but for the host.
///
/// Inputs only change state; service() then sends what there is to send and tells the observer. The
/// endpoint calls it from its loop, never from within a call that a user made.
class PeerConnection final : private DataTransportSink, private DataTransportObserver {
 public:
    /// All references outlive the connection.
    PeerConnection(TimePoint now, PeerOptions options, const Certificate& certificate,
                   SctpStack& stack, Random& random, PeerHost& host,
                   std::unique_ptr<PeerObserver> observer);
    ~PeerConnection() override;

    PeerId id() const { return options_.id; }
    IceAgent& ice() { return ice_; }

    void handle_stun(TimePoint now, const IcePath& path, ByteSpan datagram);
    /// DTLS. What comes from an address that is not proved yet is held back until it is.
    void handle_data(TimePoint now, const IcePath& path, ByteSpan datagram, bool validated);
    void handle_timeout(TimePoint now);
    std::optional<TimePoint> next_timeout() const;
    /// Something waits for service(): the user called into a channel, or timers ran.
    bool wants_service() const { return transport_->wants_poll(); }
    void service(TimePoint now);

    void close(std::string reason);
    /// Closes, and tells the peer but not the observer; for the end of the endpoint.
    void abandon();
    /// The observer has had its last call: it can be destroyed.
    bool finished() const { return finished_; }
    bool connected() const { return connected_ && !finished_; }
    PeerInfo info() const;

    std::vector<SocketAddress>& addresses() { return addresses_; }
    /// Managed by the endpoint: when its timer will call, and whether it is listed there.
    std::optional<TimePoint> scheduled;
    bool marked = false;

 private:
    struct EarlyDatagram {
        SocketAddress remote;
        Bytes bytes;
    };

    void on_transport_datagram(ByteSpan datagram) override;
    void on_transport_connected() override;
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override;
    void on_transport_closed(const std::string& reason) override;

    void drain_ice();
    void release_early(TimePoint now);

    const PeerOptions options_;
    PeerHost& host_;
    const TimePoint connect_by_;
    std::unique_ptr<PeerObserver> observer_;
    IceAgent ice_;
    std::unique_ptr<DataTransport> transport_;

    std::vector<EarlyDatagram> early_;
    std::vector<SocketAddress> addresses_;  ///< in the endpoint's table; the oldest first
    std::string remote_address_;
    std::uint64_t bytes_sent_ = 0;
    std::uint64_t bytes_received_ = 0;
    bool started_ = false;
    bool connected_ = false;
    bool finished_ = false;
};

}  // namespace kollator::rtc
