#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "peer/requests.h"
#include "protocol/hello.h"
#include "rtc/endpoint.h"

namespace kollator::peer {

/// A connection to a worker, with its channel open and HELLO exchanged. Destroying it, also from a
/// callback, ends the connection; no request calls back then. Loop thread only; the endpoint
/// outlives it.
class Connection {
 public:
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Requests& requests();
    /// False once it is lost: then requests end with kUnavailable.
    bool open() const;
    /// Ends it: all requests end with kUnavailable, then on_lost is told.
    void close(const std::string& reason);
    /// Told once, after all requests have ended. Replaces what was set before.
    void set_on_lost(std::function<void(const std::string& reason)> on_lost);

    /// The worker's HELLO.
    const protocol::Hello& hello() const;
    /// What the worker takes, by its HELLO.
    std::uint32_t max_chunk_bytes() const;

    /// The endpoint's name for it: rtc::PeerInfo has the worker's certificate, for AUTH.
    rtc::PeerId peer() const;
    std::optional<rtc::PeerInfo> info() const;

    struct Impl;
    explicit Connection(std::shared_ptr<Impl> impl);

 private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace kollator::peer
