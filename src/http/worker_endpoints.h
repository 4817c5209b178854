#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "http/dht_endpoints.h"
#include "http/http_server.h"
#include "http/object_endpoints.h"
#include "http/worker_documents.h"

namespace kollator::http {

struct RtcAnswer {
    std::uint64_t peer = 0;  ///< the endpoint's name for the connection
    std::string sdp;
};

/// What the endpoints ask of the worker. All run on the loop; all but the DHT's are needed. Answers
/// (`on_done`) may come before the hook returned.
struct WorkerHooks {
    std::function<HealthReport()> health;
    /// Before `stats` and `metrics`: brings up to date what other threads count.
    std::function<void(std::function<void()> on_done)> refresh;
    std::function<WorkerStats()> stats;
    ObjectHooks objects;
    DhtHooks dht;
    /// `on_done` gets the number of chunks dropped.
    std::function<void(std::function<void(std::size_t)> on_done)> clear_cache;
    /// Prometheus text format, version 0.0.4.
    std::function<std::string()> metrics;

    /// kInvalid: malformed (400), kNotFound: no data channel section (415), kLimit: full (503).
    /// `pending` is kept until the connection is up or gone.
    std::function<void(std::string_view offer_sdp, std::shared_ptr<void> pending,
                       std::function<void(Result<RtcAnswer>)> on_done)>
        rtc_accept;
    /// "candidate:…"; empty: the end of candidates. kNotFound: the connection is gone (404),
    /// kInvalid: malformed (400).
    std::function<void(std::uint64_t peer, std::vector<std::string> candidates,
                       std::function<void(Status)> on_done)>
        rtc_candidates;
    /// A restart of ICE with the client's new credentials; gives the fragment with the worker's, or
    /// nothing where they are not new. kNotFound: the connection is gone (404), kInvalid:
    /// malformed (400).
    std::function<void(std::uint64_t peer, const std::string& ufrag, const std::string& password,
                       std::function<void(Result<std::string>)> on_done)>
        rtc_restart;
    /// Closes a connection; one that is gone already is no fault.
    std::function<void(std::uint64_t peer)> rtc_close;
};

struct WorkerEndpointOptions {
    std::string admin_token;  ///< empty: state is changed from loopback only
    /// Connections that are not up yet, of one client's address; past it 429.
    std::size_t pending_per_address = 64;
};

/// Adds the worker's endpoints (protocol.md, 1.1 and section 4) and a status page at "/" to
/// `server`. `random` is used before this returns, for the key that makes /rtc/<session>
/// unguessable.
void add_worker_endpoints(HttpServer& server, WorkerHooks hooks, WorkerEndpointOptions options,
                          Random& random);

}  // namespace kollator::http
