#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "peer/connection.h"

namespace kollator::peer {

/// What a Connection is made of, from the first datagram on. Shared by the Connection (or, before
/// that, the attempt) and the observers that the endpoint owns.
struct Connection::Impl : std::enable_shared_from_this<Connection::Impl> {
    Impl(EventLoop& the_loop, rtc::Endpoint& the_endpoint, RequestLimits the_limits)
        : loop(the_loop), endpoint(the_endpoint), limits(the_limits) {}

    /// For Endpoint::offer() or dial(). Once.
    std::unique_ptr<rtc::PeerObserver> observer();
    /// Ends the connection, without a further call to anybody.
    void drop();

    EventLoop& loop;
    rtc::Endpoint& endpoint;
    const RequestLimits limits;
    rtc::PeerId peer = 0;
    bool dropped = false;
    bool gone = false;     ///< the endpoint has ended it
    std::string given_up;  ///< why, where we ended it ourselves: no sign of life

    // Of the attempt, until it has ended.
    std::function<void()> on_open;  ///< the channel is there: requests is set
    std::function<void(const std::string&)> on_candidate;
    std::function<void(const std::string& reason)> on_lost;

    std::unique_ptr<Wire> wire;
    std::unique_ptr<Requests> requests;
    protocol::Hello hello;
};

/// docs/protocol.md, section 2.
inline constexpr const char* kChannelLabel = "kollator";
inline constexpr const char* kChannelProtocol = "kollator.v1";

}  // namespace kollator::peer
