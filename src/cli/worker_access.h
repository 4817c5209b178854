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

    template <typename T>
    struct Call;

    /// `ready` runs once, never before this returned.
    void when_connected(Ready ready);
    /// Calls `again` after a pause; false where it is of no use any more.
    bool repeat_later(const Error& error, Retry& retry, std::function<void()> again);

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// One call to run(), held by whatever it waits for.
template <typename T>
struct WorkerAccess::Call : std::enable_shared_from_this<Call<T>> {
    Call(WorkerAccess& the_access, std::function<void(peer::Connection&, peer::Done<T>)> the_ask,
         peer::Done<T> the_done)
        : access(the_access), ask(std::move(the_ask)), done(std::move(the_done)) {}

    void start() {
        access.when_connected([self = this->shared_from_this()](auto connection) {
            if (!connection) return self->done(connection.error());
            self->ask(**connection, [self](Result<T> result) { self->take(std::move(result)); });
        });
    }
    void take(Result<T> result) {
        const auto again = [self = this->shared_from_this()] { self->start(); };
        if (!result && access.repeat_later(result.error(), retry, again)) return;
        done(std::move(result));
    }

    WorkerAccess& access;
    const std::function<void(peer::Connection&, peer::Done<T>)> ask;
    const peer::Done<T> done;
    Retry retry;
};

template <typename T>
void WorkerAccess::run(std::function<void(peer::Connection&, peer::Done<T>)> ask,
                       peer::Done<T> done) {
    std::make_shared<Call<T>>(*this, std::move(ask), std::move(done))->start();
}

}  // namespace kollator::cli
