#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rtc/direct_address.h"
#include "rtc/endpoint.h"

namespace kollator::rtc {

/// Connected now, and ever.
struct PeerCounts {
    std::uint64_t active = 0;
    std::uint64_t total = 0;
};

struct ShardReport {
    std::uint16_t port = 0;  ///< UDP
    EndpointStats stats;
};

/// How a hub stood at its last refresh().
struct HubReport {
    EndpointStats total;
    std::vector<ShardReport> shards;
    std::vector<std::string> candidates;  ///< "candidate:…", of every shard
};

/// The peer connections that others begin, on one UDP socket or on several with a thread each.
/// Whichever it is, observers and channels are called and told on the hub's loop only, under the
/// rules of Endpoint; a connection stays on the socket that it began on.
///
/// `on_done` below runs once, on the loop's thread, and where the answer is at hand already, before
/// the call returned (DEVIATION from the rule that it never does: with one socket every answer is
/// at hand, and none should cost a turn of the loop). Destroying the hub ends every connection, as
/// Endpoint's destructor does; what has no answer by then gets none.
class PeerHub {
 public:
    using OnAnswer = std::function<void(const Result<Answer>&)>;
    using OnFragment = std::function<void(const Result<std::string>&)>;
    using OnStatus = std::function<void(const Status&)>;
    using Fingerprint = std::array<std::uint8_t, 32>;

    virtual ~PeerHub() = default;

    /// See Endpoint::accept. Gives the connection's id, by which the calls below reach it at once;
    /// 0 where it was refused at once. Where `on_done` gets an error the observer is gone.
    virtual PeerId accept(std::string_view offer_sdp, std::unique_ptr<PeerObserver> observer,
                          OnAnswer on_done) = 0;
    /// See Endpoint.
    virtual void renegotiate(PeerId peer, std::string_view offer_sdp, OnAnswer on_done) = 0;
    virtual void restart_ice(PeerId peer, const IceCredentials& remote, OnFragment on_done) = 0;
    /// See Endpoint::add_remote_candidate. The first that fails ends it.
    virtual void add_remote_candidates(PeerId peer, std::vector<std::string> candidates,
                                       OnStatus on_done) = 0;
    virtual void close(PeerId peer, const std::string& reason) = 0;
    virtual void close_all(const std::string& reason) = 0;

    /// See Endpoint. An acceptor that gives null ends a connection that has just begun.
    virtual void accept_direct(Endpoint::DirectAcceptor acceptor) = 0;
    /// Where peers can dial: those of the first socket first.
    virtual std::vector<DirectAddress> direct_addresses() const = 0;

    /// The first socket's.
    virtual std::uint16_t port() const = 0;
    virtual PeerCounts counts() const = 0;
    /// See Endpoint.
    virtual std::optional<Fingerprint> peer_fingerprint(PeerId peer) const = 0;

    /// Brings report() up to date.
    virtual void refresh(std::function<void()> on_done) = 0;
    virtual const HubReport& report() const = 0;
};

/// Opens `shards` sockets: at `options.port` and the numbers that follow, or at any where it is 0.
/// With one, everything runs on `loop`. With more, each has a thread of its own, and a share of the
/// budget. `options.max_connections` is the bound of all together. What is referred to outlives the
/// hub. kUnavailable: a port is taken. kInvalid: an address is none, there are too few ports above
/// `options.port`, or usrsctp is asked for with more than one.
Result<std::unique_ptr<PeerHub>> open_peer_hub(EventLoop& loop, const Clock& clock, Random& random,
                                               const Certificate& certificate,
                                               EndpointOptions options, std::size_t shards);

}  // namespace kollator::rtc
