#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "loop/resolver.h"
#include "loop/stream_client.h"
#include "rtc/endpoint.h"
#include "rtc/ice/candidate.h"
#include "rtc/ice/candidate_pair.h"
#include "rtc/stun/stun_client.h"
#include "rtc/turn/stream_framer.h"
#include "rtc/turn/turn_client.h"

namespace kollator::rtc {

/// What the servers need of the endpoint. Each may be called from within any call to IceServers.
class IceServersHost {
 public:
    virtual ~IceServersHost() = default;
    /// Queues one datagram on the endpoint's own socket.
    virtual void send_to_server(const SocketAddress& server, ByteSpan datagram) = 0;
    /// A peer's datagram that came through a relay, valid for the call.
    virtual void on_relayed(const IcePath& path, ByteSpan datagram) = 0;
    /// After the last of on_relayed that came in one go, unless handle_datagram() is under way.
    virtual void on_relayed_end() = 0;
    /// There is a candidate that was not there before.
    virtual void on_server_candidate(const Candidate& candidate) = 0;
};

/// The STUN and TURN servers of an endpoint: resolves their names, learns how the endpoint's socket
/// looks from outside, and holds one relayed address on each TURN server, for all peers. A server
/// that fails is looked up anew when it is tried again. Loop thread only.
class IceServers {
 public:
    /// Names to addresses, as Resolver::resolve().
    using Resolve = std::function<void(const std::string& host, Resolver::Done done)>;

    /// All references outlive it. `local`: the endpoint's socket. `resolve`: empty but for tests.
    IceServers(EventLoop& loop, const Clock& clock, Random& random, IceServerOptions options,
               const SocketAddress& local, std::uint32_t transaction_prefix, IceServersHost& host,
               Resolve resolve = {});
    ~IceServers();
    IceServers(const IceServers&) = delete;
    IceServers& operator=(const IceServers&) = delete;

    /// Begins to ask.
    void start();
    /// A datagram of the endpoint's socket. True: it came from one of the servers.
    bool handle_datagram(const SocketAddress& from, const IpAddress& local, ByteSpan datagram);
    /// Lets a peer at this address send to us through the relays.
    void permit(const IpAddress& ip);
    /// Sends one datagram through the relay that `path` names.
    void send(const IcePath& path, ByteSpan datagram);

    /// Those that are there now: server-reflexive, then relayed.
    std::vector<Candidate> candidates() const;
    /// Some may still come soon.
    bool gathering() const;

 private:
    struct Reflexive;
    struct Relay;

    void resolve_stun(std::size_t index);
    void take_stun_addresses(Reflexive& server, const Resolver::Addresses& addresses);
    bool wants_lookup(const Reflexive& server, TimePoint now) const;
    void connect_relay(Relay& relay);
    void open_relay(Relay& relay, const Resolver::Addresses& addresses);
    void open_stream(Relay& relay);
    void read_stream(Relay& relay, ByteSpan bytes);
    void lose_stream(Relay& relay, const std::string& reason);
    void handle_relay_message(Relay& relay, ByteSpan message);
    TurnCredentials credentials_of(const TurnServerOptions& server) const;
    std::optional<SocketAddress> usable(const std::string& address, std::uint16_t port) const;
    bool is_new(const SocketAddress& address, std::vector<SocketAddress>& seen) const;

    void drain(Reflexive& server);
    void drain(Relay& relay);
    void run_timers();
    void arm();
    void tell_new_candidates();

    EventLoop& loop_;
    const Clock& clock_;
    Random& random_;
    const IceServerOptions options_;
    const SocketAddress local_;
    const std::uint32_t transaction_prefix_;
    IceServersHost& host_;

    Resolver resolver_;
    const Resolve resolve_;
    Timer timer_;
    std::optional<TimePoint> armed_at_;
    std::vector<std::unique_ptr<Reflexive>> reflexive_;
    std::vector<std::unique_ptr<Relay>> relays_;
    std::vector<SocketAddress> told_;  ///< candidates that the host knows
    bool in_datagram_ = false;
};

}  // namespace kollator::rtc
