#include "cli/worker_access.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "protocol/deflate.h"
#include "rtc/certificate.h"

namespace kollator::cli {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(250);
constexpr Duration kLongestPause = std::chrono::seconds(10);
/// After so long without a sign of a worker the next one is tried. Checks go every 5 s, and every
/// second while they are not answered.
constexpr Duration kConsentTimeout = std::chrono::seconds(8);
/// A fault of the worker, or bytes that do not match: worth so many attempts.
constexpr int kFaultAttempts = 4;

/// 250 ms, 500 ms, … with up to half as much again, so that many do not come back together.
Duration pause_before(int attempt) {
    const Duration base = std::min(kLongestPause, kFirstPause * (1 << std::min(attempt, 6)));
    const auto spread = static_cast<std::uint64_t>(base.count() / 2);
    return base + Duration(static_cast<Duration::rep>(crypto::system_random().u64() % spread));
}

bool may_pass(const Error& error, int attempts) {
    switch (error.code) {
        case ErrorCode::kUnavailable:
        case ErrorCode::kTimeout:
        case ErrorCode::kLimit:
            return true;
        case ErrorCode::kInternal:
        case ErrorCode::kCancelled:
        case ErrorCode::kCorrupt:
            return attempts < kFaultAttempts;
        case ErrorCode::kNotFound:
        case ErrorCode::kInvalid:
            return false;
    }
    return false;
}

}  // namespace

struct WorkerAccess::Impl {
    Impl(EventLoop& the_loop, AccessOptions the_options)
        : loop(the_loop), options(std::move(the_options)), http(loop, options.ca_file) {}

    void connect();
    void take_bootstrap(Result<peer::Bootstrap> found);
    Status open_endpoint(const std::vector<peer::IceServerAddress>& servers);
    void dial_next(Error why);
    void take_connection(std::unique_ptr<peer::Connection> made, const std::string& id);
    void fail(const Error& error);
    void settle(const Result<peer::Connection*>& result);
    void later(Duration pause, std::function<void()> task);

    EventLoop& loop;
    const AccessOptions options;
    std::optional<rtc::Certificate> certificate;
    std::unique_ptr<rtc::Endpoint> endpoint;
    peer::HttpClient http;
    std::unique_ptr<peer::Dialer> dialer;
    std::deque<peer::Route> routes;  // not tried yet in this round
    std::unique_ptr<peer::Connection> connection;
    std::vector<std::unique_ptr<peer::Connection>> spent;  // until the loop's next turn
    std::vector<Ready> waiting;
    std::set<std::unique_ptr<Timer>> pauses;
    bool connecting = false;
    bool ever_connected = false;
    std::string worker_id;
    std::string avoid_id;  // whose connection broke last: others are tried first
    int failed_rounds = 0;
    std::optional<TimePoint> failing_since;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

void WorkerAccess::Impl::later(Duration pause, std::function<void()> task) {
    const auto timer = pauses.insert(std::make_unique<Timer>(loop)).first;
    (*timer)->start_after(pause, [this, timer, task = std::move(task)] {
        const auto run = task;
        // Not within its own call.
        loop.post([this, timer, guard = std::weak_ptr(alive)] {
            if (!guard.expired()) pauses.erase(timer);
        });
        run();
    });
}

void WorkerAccess::Impl::connect() {
    connecting = true;
    routes.clear();
    if (options.front_url.empty()) {
        if (Status opened = open_endpoint({}); !opened) return fail(opened.error());
        peer::Route route;
        route.worker_url = options.worker_url;
        route.direct_address = options.direct_address;
        routes.push_back(std::move(route));
        return dial_next(make_error(ErrorCode::kUnavailable, "no worker"));
    }
    peer::bootstrap(http, options.front_url,
                    [this](Result<peer::Bootstrap> found) { take_bootstrap(std::move(found)); });
}

void WorkerAccess::Impl::take_bootstrap(Result<peer::Bootstrap> found) {
    if (!found) return fail(found.error());
    if (Status opened = open_endpoint(found->ice_servers); !opened) return fail(opened.error());
    for (const peer::WorkerAddress& worker : found->workers) {
        peer::Route route;
        route.worker_id = worker.id;
        route.worker_url = worker.url;
        route.signaling_url = found->signaling_url;
        routes.push_back(std::move(route));
    }
    std::stable_partition(routes.begin(), routes.end(),
                          [this](const auto& route) { return route.worker_id != avoid_id; });
    dial_next(make_error(ErrorCode::kNotFound, "the front knows no worker"));
}

/// Once: its STUN and TURN servers are those that the front named first.
Status WorkerAccess::Impl::open_endpoint(const std::vector<peer::IceServerAddress>& servers) {
    if (endpoint) return {};
    const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(
        system_clock().wall_now().time_since_epoch());
    auto made = rtc::Certificate::generate(now_s.count());
    if (!made) return made.error();
    certificate.emplace(std::move(*made));
    rtc::EndpointOptions endpoint_options;
    endpoint_options.max_connections = 16;
    endpoint_options.consent_timeout = kConsentTimeout;
    if (options.ice_servers) endpoint_options.servers = options.ice_servers(servers);
    Result<std::unique_ptr<rtc::Endpoint>> opened =
        make_error(ErrorCode::kUnavailable, "no address to bind");
    // Where the kernel has no IPv6, the second.
    for (const char* address : {"::", "0.0.0.0"}) {
        endpoint_options.bind_address = address;
        opened = rtc::open_endpoint(loop, system_clock(), crypto::system_random(), *certificate,
                                    endpoint_options);
        if (opened) break;
    }
    if (!opened) return opened.error();
    endpoint = std::move(*opened);
    peer::DialerOptions dialer_options;
    dialer_options.hello.agent = options.agent;
    dialer_options.hello.accept = {protocol::kDeflateRaw};
    dialer_options.ca_file = options.ca_file;
    dialer = std::make_unique<peer::Dialer>(loop, system_clock(), crypto::system_random(),
                                            *endpoint, std::move(dialer_options));
    return {};
}

void WorkerAccess::Impl::dial_next(Error why) {
    if (routes.empty()) return fail(why);
    const peer::Route route = std::move(routes.front());
    routes.pop_front();
    dialer->dial(route, [this, id = route.worker_id](auto made) {
        if (!made) return dial_next(made.error());
        take_connection(std::move(*made), id);
    });
}

void WorkerAccess::Impl::take_connection(std::unique_ptr<peer::Connection> made,
                                         const std::string& id) {
    connection = std::move(made);
    connecting = false;
    ever_connected = true;
    failed_rounds = 0;
    failing_since.reset();
    worker_id = connection->hello().id.empty() ? id : connection->hello().id;
    connection->set_on_lost([this, id](const std::string& reason) {
        avoid_id = id;
        if (options.on_trouble) options.on_trouble("the connection is lost: " + reason);
        // What its requests' callbacks began waits for the next one already.
        spent.push_back(std::move(connection));
        loop.post([this, guard = std::weak_ptr(alive)] {
            if (!guard.expired()) spent.clear();
        });
        if (!waiting.empty() && !connecting) connect();
    });
    settle(connection.get());
}

/// A round through all workers came to nothing.
void WorkerAccess::Impl::fail(const Error& error) {
    const TimePoint now = loop.now();
    if (!failing_since) failing_since = now;
    const bool hopeless = error.code == ErrorCode::kInvalid || !ever_connected;
    if (hopeless || now - *failing_since > options.give_up_after) {
        connecting = false;
        failing_since.reset();
        return settle(error);
    }
    if (options.on_trouble) options.on_trouble(error.detail);
    later(pause_before(failed_rounds++), [this] { connect(); });
}

void WorkerAccess::Impl::settle(const Result<peer::Connection*>& result) {
    for (const Ready& ready : std::exchange(waiting, {})) ready(result);
}

WorkerAccess::WorkerAccess(EventLoop& loop, AccessOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}

WorkerAccess::~WorkerAccess() {
    if (impl_->connection) impl_->connection->set_on_lost(nullptr);
}

const std::string& WorkerAccess::worker_id() const {
    return impl_->worker_id;
}

bool WorkerAccess::never_connected() const {
    return !impl_->ever_connected;
}

void WorkerAccess::when_connected(Ready ready) {
    Impl& impl = *impl_;
    if (impl.connection && impl.connection->open()) {
        impl.loop.post([ready = std::move(ready), this, guard = std::weak_ptr(impl.alive)] {
            if (guard.expired()) return;
            Impl& now = *impl_;
            if (now.connection && now.connection->open()) return ready(now.connection.get());
            when_connected(ready);
        });
        return;
    }
    impl.waiting.push_back(std::move(ready));
    // While a lost one is still there, its on_lost is about to come, and connects.
    if (impl.connecting || impl.connection) return;
    impl.connecting = true;
    impl.loop.post([this, guard = std::weak_ptr(impl.alive)] {
        if (!guard.expired()) impl_->connect();
    });
}

bool WorkerAccess::repeat_later(const Error& error, Retry& retry, std::function<void()> again) {
    Impl& impl = *impl_;
    const TimePoint now = impl.loop.now();
    if (!retry.first_failure) retry.first_failure = now;
    if (!may_pass(error, ++retry.attempts) ||
        now - *retry.first_failure > impl.options.give_up_after) {
        return false;
    }
    if (impl.options.on_trouble) impl.options.on_trouble(error.detail);
    const bool open = impl.connection && impl.connection->open();
    Duration pause = open ? pause_before(retry.attempts - 1) : Duration::zero();
    if (open && (error.code == ErrorCode::kTimeout || error.code == ErrorCode::kCorrupt)) {
        // Another worker may do better.
        impl.connection->close(error.detail);
        pause = Duration::zero();
    } else if (open) {
        pause = std::max<Duration>(pause, impl.connection->requests().not_before() - now);
    }
    impl.later(pause, std::move(again));
    return true;
}

}  // namespace kollator::cli
