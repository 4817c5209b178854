#include "http/worker_endpoints.h"

#include "base/check.h"
#include "http/admin_guard.h"
#include "http/sdp_fragment.h"
#include "http/session_names.h"
#include "http/status_page.h"

namespace kollator::http {
namespace {

/// An offer with every candidate of a machine with many networks stays below a tenth of it.
constexpr std::size_t kMaxOfferBytes = 64 * 1024;

constexpr const char* kStatusPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct Worker {
    WorkerHooks hooks;
    WorkerEndpointOptions options;
    SessionNames names;
};

using WorkerPtr = std::shared_ptr<Worker>;

// ---- reading ----

Response get_health(const Worker& worker) {
    const HealthReport report = worker.hooks.health();
    const int status = report.status() == CheckStatus::kError ? 503 : 200;
    return fresh(json_response(status, health_json(report)));
}

Response get_metrics(const Worker& worker) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = worker.hooks.metrics();
    return fresh(std::move(response));
}

Response get_page(const Worker& worker) {
    Response response;
    response.content_type = "text/html; charset=utf-8";
    response.body = status_page(worker.hooks.health(), worker.hooks.stats());
    response.headers.emplace_back("Content-Security-Policy", kStatusPagePolicy);
    return fresh(std::move(response));
}

// ---- changing ----

void post_cache_clear(const WorkerPtr& worker, const Request& request, const Responder& responder) {
    if (auto refusal = refuse_unless_admin(request, worker->options.admin_token)) {
        return responder.send(*std::move(refusal));
    }
    worker->hooks.clear_cache([responder](std::size_t dropped) {
        responder.send(json_response(200, "{\"cleared\":" + std::to_string(dropped) + "}"));
    });
}

// ---- peer connections, protocol.md 1.1 ----

Response refusal_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kInvalid:
            return error_response(400, "bad-sdp", error.detail);
        case ErrorCode::kNotFound:
            return error_response(415, "no-data-channel", error.detail);
        case ErrorCode::kLimit:
        case ErrorCode::kUnavailable:
            return unavailable_response(error.detail);
        default:
            return error_response(500, "internal", error.detail);
    }
}

Response post_rtc(const Worker& worker, const Request& request) {
    if (!media_type_is(request.header("Content-Type"), "application/sdp")) {
        Response response =
            error_response(415, "unsupported-media-type", "Content-Type must be application/sdp");
        response.headers.emplace_back("Accept-Post", "application/sdp");
        return response;
    }
    const auto answer = worker.hooks.rtc_accept(request.body);
    if (!answer) return refusal_of(answer.error());
    Response response;
    response.status = 201;
    response.content_type = "application/sdp";
    response.body = answer->sdp;
    response.headers.emplace_back("Location", "/rtc/" + worker.names.name_of(answer->peer));
    return response;
}

Response no_such_session() {
    return error_response(404, "not-found", "there is no such session, or it has ended");
}

Response no_content() {
    Response response;
    response.status = 204;
    return response;
}

Response patch_rtc(const Worker& worker, const Request& request) {
    const auto peer = worker.names.peer_of(request.param("session"));
    if (!peer) return no_such_session();
    if (!media_type_is(request.header("Content-Type"), "application/trickle-ice-sdpfrag")) {
        Response response = error_response(415, "unsupported-media-type",
                                           "Content-Type must be application/trickle-ice-sdpfrag");
        response.headers.emplace_back("Accept-Patch", "application/trickle-ice-sdpfrag");
        return response;
    }
    auto fragment = parse_sdp_fragment(request.body);
    if (!fragment) return error_response(400, "bad-sdpfrag", fragment.error().detail);
    Response response = no_content();
    // RFC 9725 4.3.2: fragments that only trickle have the credentials, too.
    if (!fragment->password.empty()) {
        const auto restarted = worker.hooks.rtc_restart(*peer, fragment->ufrag, fragment->password);
        if (!restarted && restarted.error().code == ErrorCode::kNotFound) return no_such_session();
        if (!restarted) return error_response(400, "bad-sdpfrag", restarted.error().detail);
        if (!restarted->empty()) {
            response.status = 200;
            response.content_type = "application/trickle-ice-sdpfrag";
            response.body = *restarted;
        }
    }
    if (fragment->end_of_candidates) fragment->candidates.emplace_back();
    for (const std::string& candidate : fragment->candidates) {
        const Status added = worker.hooks.rtc_candidate(*peer, candidate);
        if (added) continue;
        if (added.error().code == ErrorCode::kNotFound) return no_such_session();
        return error_response(400, "bad-candidate", added.error().detail);
    }
    return response;
}

Response delete_rtc(const Worker& worker, const Request& request) {
    const auto peer = worker.names.peer_of(request.param("session"));
    if (!peer) return no_such_session();
    worker.hooks.rtc_close(*peer);
    return no_content();
}

}  // namespace

void add_worker_endpoints(HttpServer& server, WorkerHooks hooks, WorkerEndpointOptions options,
                          Random& random) {
    KOLLATOR_CHECK(hooks.health && hooks.stats && hooks.clear_cache && hooks.metrics &&
                   hooks.rtc_accept && hooks.rtc_candidate && hooks.rtc_restart && hooks.rtc_close);
    add_object_endpoints(server, hooks.objects, options.admin_token);
    add_dht_endpoints(server, hooks.dht, options.admin_token);
    const auto worker = std::make_shared<Worker>(
        Worker{std::move(hooks), std::move(options), SessionNames(random)});

    const auto at_once = [worker](auto answer) {
        return [worker, answer](const Request& request, const Responder& responder) {
            responder.send(answer(*worker, request));
        };
    };
    const auto document = [at_once](Response (*answer)(const Worker&)) {
        return at_once([answer](const Worker& state, const Request&) { return answer(state); });
    };
    server.route("GET", "/", document(get_page));
    server.route("GET", "/health", document(get_health));
    server.route("GET", "/metrics", document(get_metrics));
    server.route("GET", "/stats", at_once([](const Worker& state, const Request& request) {
                     const bool admin =
                         !refuse_unless_admin(request, state.options.admin_token).has_value();
                     const Reader reader = admin ? Reader::kAdmin : Reader::kAnyone;
                     return fresh(json_response(200, stats_json(state.hooks.stats(), reader)));
                 }));
    server.route("POST", "/cache/clear",
                 [worker](const Request& request, const Responder& responder) {
                     post_cache_clear(worker, request, responder);
                 });
    const RouteOptions rtc{.cors = true, .max_body_bytes = kMaxOfferBytes};
    server.route("POST", "/rtc", at_once(post_rtc), rtc);
    server.route("PATCH", "/rtc/{session}", at_once(patch_rtc), rtc);
    server.route("DELETE", "/rtc/{session}", at_once(delete_rtc), rtc);
}

}  // namespace kollator::http
