#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "peer/connection.h"
#include "peer/http_client.h"
#include "peer/requests.h"
#include "protocol/hello.h"
#include "rtc/endpoint.h"

namespace kollator::peer {

/// The ways to one worker; those that are empty are not there.
struct Route {
    std::string worker_id{};
    std::string direct_address{};  ///< "/ip4/…/udp/…/webrtc-direct/certhash/…"
    std::string worker_url{};      ///< for POST /rtc
    std::string signaling_url{};   ///< of a front that knows `worker_id`
};

struct DialerOptions {
    /// What we say in HELLO.
    protocol::Hello hello;
    RequestLimits requests;
    /// Of each way, from its beginning to an open channel.
    Duration way_timeout = std::chrono::seconds(15);
    Duration hello_timeout = std::chrono::seconds(10);
    std::string ca_file;  ///< PEM, for https workers and wss fronts
};

/// Makes connections to workers, from one endpoint, and so one to each worker at a time
/// (rtc::Endpoint). Loop thread only.
class Dialer {
 public:
    using Done = std::function<void(Result<std::unique_ptr<Connection>>)>;

    /// All references outlive it, and what it gives.
    Dialer(EventLoop& loop, const Clock& clock, Random& random, rtc::Endpoint& endpoint,
           DialerOptions options);
    /// Attempts that are under way end without a call.
    ~Dialer();
    Dialer(const Dialer&) = delete;
    Dialer& operator=(const Dialer&) = delete;

    /// Tries the ways one after the other: the direct address, POST /rtc, the signaling. `done`
    /// runs once, with the last way's error where none works. kInvalid: there is no way in
    /// `route`.
    void dial(Route route, Done done);

    /// For POST /bootstrap and the like.
    HttpClient& http();

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator::peer
