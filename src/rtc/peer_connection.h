#pragma once

#include <cstdint>
#include <deque>
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
    /// service() is wanted soon.
    virtual void on_peer_pending(PeerConnection& peer) = 0;
    /// The peer sent an authentic check from there (not `validated`), or proved that it receives
    /// there: what comes from it is for this connection.
    virtual void on_peer_address(PeerConnection& peer, const IcePath& path, bool validated) = 0;
    /// The peer is to be sent to there from now on.
    virtual void on_peer_path(PeerConnection& peer, const IcePath& path) = 0;
    virtual void on_peer_connected(PeerConnection& peer) = 0;
};

struct PeerOptions {
    PeerId id = 0;
    IceOptions ice;
    /// From the beginning until connected, and from an ICE restart until it has worked.
    Duration connect_timeout = std::chrono::seconds(30);
};

/// One peer: ICE below, DTLS, SCTP and data channels above it. Sans-IO but for the host.
///
/// What stands above ICE is made when a path was proved and the peer's description is known: until
/// then a connection costs little, and no handshake begins with an address that anybody forged.
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
    IceAgent& ice() { return *ice_; }
    const IceAgent& ice() const { return *ice_; }

    /// What the peer's description says. REQUIRES: called once.
    void set_remote(IceCredentials ice, DataTransportOptions transport);
    /// What set_remote() was given; empty before.
    const std::optional<DataTransportOptions>& remote() const { return remote_; }
    /// Each restart begins anew with checks to wherever the peer's candidates say: false where
    /// there were too many within a minute.
    bool may_restart_ice(TimePoint now) const;
    /// ICE anew (RFC 8445 9), with the peer's new credentials; what runs above it stays, and the
    /// path that works now is used until another one does, and for good where none does.
    void restart_ice(TimePoint now, IceOptions options, IceCredentials remote);
    /// A candidate of ours that came after the connection was made: the observer is told, too.
    void add_local_candidate(const Candidate& candidate);
    /// See Endpoint::open_channel.
    Status open_channel(const ChannelOptions& options);

    /// See Endpoint::set_reading.
    void set_reading(bool on) {
        if (transport_) transport_->set_reading(on);
    }

    void handle_stun(TimePoint now, const IcePath& path, ByteSpan datagram);
    /// See IceAgent::check_stray. The datagram is held back for a while, until it is answered.
    void check_stray(TimePoint now, const IcePath& path, ByteSpan datagram);
    /// DTLS. What comes from an address that is not proved yet is held back until it is.
    void handle_data(TimePoint now, const IcePath& path, ByteSpan datagram, bool validated);
    void handle_timeout(TimePoint now);
    std::optional<TimePoint> next_timeout() const;
    /// Something waits for service(): the user called into a channel, or timers ran.
    bool wants_service() const { return transport_ ? transport_->wants_poll() : !end_.empty(); }
    void service(TimePoint now);

    void close(std::string reason);
    /// Closes, and tells the peer but not the observer; for the end of the endpoint.
    void abandon();
    /// close() was called: nobody can use it any more.
    bool closing() const { return closing_ || finished_; }
    /// The observer has had its last call: it can be destroyed.
    bool finished() const { return finished_; }
    bool connected() const { return connected_ && !finished_; }
    /// Managed by the endpoint: the peer came without signaling.
    bool dialed_directly() const { return dialed_directly_; }
    void set_dialed_directly() { dialed_directly_ = true; }
    /// Managed by the endpoint: it was closed for another one, and its client may come again.
    bool gave_way() const { return gave_way_; }
    void give_way() {
        gave_way_ = true;
        close("gave way to others");
    }
    PeerInfo info() const;
    std::uint64_t received_bytes() const { return bytes_received_; }

    std::vector<IcePath>& addresses() { return addresses_; }
    /// Whether an agent of this connection has chosen this path to send on.
    bool sends_on(const IcePath& path) const;
    /// Managed by the endpoint: those of ours by which it finds this connection, and what the
    /// descriptions' o= lines say.
    std::vector<std::string> ufrags;
    struct LocalSession {
        std::uint64_t id = 0;
        std::uint64_t version = 0;
    } local_session;
    std::string remote_session_id;
    /// Managed by the endpoint: where the answer, or the address that was dialed, says the peer is.
    std::vector<SocketAddress> called;
    /// Managed by the endpoint: where this connection is listed by its address.
    std::optional<IpAddress> listed_ip;
    std::size_t listed_at = 0;
    /// Managed by the endpoint: when its timer will call, and whether it is listed there.
    std::optional<TimePoint> scheduled;
    bool marked = false;

 private:
    struct EarlyDatagram {
        IcePath path;
        Bytes bytes;
        TimePoint drop_at = TimePoint::max();
    };

    void on_transport_datagram(ByteSpan datagram) override;
    void on_transport_pending() override { host_.on_peer_pending(*this); }
    void on_transport_connected() override;
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override;
    void on_transport_closed(const std::string& reason) override;

    void drain(IceAgent& agent);
    void begin_transport(TimePoint now);
    void hold_back(EarlyDatagram early);
    void release_early(TimePoint now);
    /// Of the agent whose paths are used: the new one as soon as it has a path.
    IceAgent& working_ice() { return previous_ice_ ? *previous_ice_ : *ice_; }
    bool is_valid(const IcePath& path) const;

    const PeerOptions options_;
    const Certificate& certificate_;
    SctpStack& stack_;
    Random& random_;
    PeerHost& host_;
    std::unique_ptr<PeerObserver> observer_;

    /// When what is under way must be done: connecting, or a restart of ICE.
    std::optional<TimePoint> deadline_;
    std::unique_ptr<IceAgent> ice_;
    std::unique_ptr<IceAgent> previous_ice_;  ///< while a restart is under way
    std::deque<TimePoint> restarts_;          ///< the latest
    std::optional<DataTransportOptions> remote_;
    std::unique_ptr<DataTransport> transport_;
    std::vector<ChannelOptions> wanted_channels_;  ///< until there is a transport
    std::string end_;                              ///< why it was closed without a transport

    std::vector<EarlyDatagram> early_;
    std::vector<std::string> new_candidates_;  ///< the observer does not know them yet
    std::vector<IcePath> addresses_;           ///< in the endpoint's table; the oldest first
    std::string remote_address_;
    bool relayed_ = false;
    bool gave_way_ = false;
    bool path_is_new_ = false;  ///< the transport does not know yet
    std::uint64_t bytes_sent_ = 0;
    std::uint64_t noted_bytes_sent_ = 0;  ///< what ICE was told of
    std::uint64_t bytes_received_ = 0;
    bool dialed_directly_ = false;
    bool connected_ = false;
    bool closing_ = false;
    bool finished_ = false;
};

}  // namespace kollator::rtc
