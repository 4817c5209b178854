#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "loop/event_loop.h"
#include "peer/bootstrap.h"
#include "peer/dialer.h"

namespace kollator::cli {

struct AccessOptions {
    // One of these.
    std::string front_url;       ///< the front names the workers; others of it are the fail-over
    std::string worker_url;      ///< POST /rtc
    std::string direct_address;  ///< "/ip4/…/udp/…/webrtc-direct/certhash/…"

    std::string ca_file;  ///< PEM, for https and wss in place of the system's authorities
    std::string agent;    ///< for HELLO
    /// How long a request is repeated while no worker can do it.
    Duration give_up_after = std::chrono::minutes(2);
    /// What a front's `iceServers` are to the transport.
    std::function<rtc::IceServerOptions(const std::vector<peer::IceServerAddress>&)> ice_servers;
    /// Told of what is going to be repeated.
    std::function<void(const std::string&)> on_trouble;
};

/// The worker that a command speaks to, whichever that is at the moment: connects when it is first
/// needed, again after a loss, and then first to another worker of the front. Loop thread only.
class WorkerAccess {
 public:
    WorkerAccess(EventLoop& loop, AccessOptions options);
    ~WorkerAccess();
    WorkerAccess(const WorkerAccess&) = delete;
    WorkerAccess& operator=(const WorkerAccess&) = delete;

    /// Runs `ask` with a connection, again where its failure may pass: REQUIRES that it may be
    /// repeated, as every request of the protocol may. Errors: the request's last, and what stood
    /// in the way of a connection (kUnavailable, kTimeout, kNotFound: no worker at the front).
    template <typename T>
    void run(std::function<void(peer::Connection&, peer::Done<T>)> ask, peer::Done<T> done);

    /// By its HELLO, of the worker connected last; empty before.
    const std::string& worker_id() const;
    /// True while no connection was ever made: then a failure is one of reaching a worker.
    bool never_connected() const;

 private:
    using Ready = std::function<void(Result<peer::Connection*>)>;
    struct Retry {
        int attempts = 0;
        std::optional<TimePoint> first_failure;
    };

    void when_connected(Ready ready);
    /// Calls `again` after a pause; false where it is of no use any more.
    bool repeat_later(const Error& error, Retry& retry, std::function<void()> again);

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

template <typename T>
void WorkerAccess::run(std::function<void(peer::Connection&, peer::Done<T>)> ask,
                       peer::Done<T> done) {
    struct Call {
        std::function<void(peer::Connection&, peer::Done<T>)> ask;
        peer::Done<T> done;
        Retry retry;
    };
    auto call = std::make_shared<Call>(Call{std::move(ask), std::move(done), {}});
    // It holds itself until it is done.
    auto attempt = std::make_shared<std::function<void()>>();
    *attempt = [this, call, attempt] {
        when_connected([this, call, attempt](Result<peer::Connection*> connection) {
            if (!connection) {
                call->done(connection.error());
                *attempt = nullptr;
                return;
            }
            call->ask(**connection, [this, call, attempt](Result<T> result) {
                if (!result && repeat_later(result.error(), call->retry, *attempt)) return;
                call->done(std::move(result));
                *attempt = nullptr;
            });
        });
    };
    (*attempt)();
}

}  // namespace kollator::cli
