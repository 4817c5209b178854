#include "http/worker_endpoints.h"

#include "base/check.h"
#include "http/admin_guard.h"
#include "http/pending_offers.h"
#include "http/sdp_fragment.h"
#include "http/session_names.h"
#include "http/status_page.h"

namespace kollator::http {
namespace {

/// An offer with every candidate of a machine with many networks stays below a tenth of it.
constexpr std::size_t kMaxOfferBytes = 64 * 1024;

/// By then most that are honest have come up, or given up.
constexpr const char* kRetryAfterSeconds = "5";

constexpr const char* kStatusPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct Worker {
    WorkerHooks hooks;
    WorkerEndpointOptions options;
    SessionNames names;
    PendingOffers pending;
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

// RFC 6585 4.
Response too_many_pending() {
    Response response =
        error_response(429, "busy", "too many connections of this address are not up yet");
    response.headers.emplace_back("Retry-After", kRetryAfterSeconds);
    return response;
}

void post_rtc(const WorkerPtr& worker, const Request& request, const Responder& responder) {
    if (!media_type_is(request.header("Content-Type"), "application/sdp")) {
        Response response =
            error_response(415, "unsupported-media-type", "Content-Type must be application/sdp");
        response.headers.emplace_back("Accept-Post", "application/sdp");
        return responder.send(std::move(response));
    }
    std::shared_ptr<void> pending = worker->pending.begin(request.remote_address);
    if (!pending) return responder.send(too_many_pending());
    const auto answered = [worker, responder](const Result<RtcAnswer>& answer) {
        if (!answer) return responder.send(refusal_of(answer.error()));
        Response response;
        response.status = 201;
        response.content_type = "application/sdp";
        response.body = answer->sdp;
        response.headers.emplace_back("Location", "/rtc/" + worker->names.name_of(answer->peer));
        responder.send(std::move(response));
    };
    worker->hooks.rtc_accept(request.body, std::move(pending), answered);
}

Response no_such_session() {
    return error_response(404, "not-found", "there is no such session, or it has ended");
}

Response no_content() {
    Response response;
    response.status = 204;
    return response;
}

Response refusal_of_patch(const char* code, const Error& error) {
    if (error.code == ErrorCode::kNotFound) return no_such_session();
    if (error.code == ErrorCode::kLimit) return unavailable_response(error.detail);
    return error_response(400, code, error.detail);
}

/// The candidates of a fragment; then `response`.
void take_candidates(const WorkerPtr& worker, std::uint64_t peer, SdpFragment fragment,
                     Response response, const Responder& responder) {
    if (fragment.end_of_candidates) fragment.candidates.emplace_back();
    worker->hooks.rtc_candidates(
        peer, std::move(fragment.candidates), [response, responder](const Status& added) {
            responder.send(added ? response : refusal_of_patch("bad-candidate", added.error()));
        });
}

void patch_rtc(const WorkerPtr& worker, const Request& request, const Responder& responder) {
    const auto peer = worker->names.peer_of(request.param("session"));
    if (!peer) return responder.send(no_such_session());
    if (!media_type_is(request.header("Content-Type"), "application/trickle-ice-sdpfrag")) {
        Response response = error_response(415, "unsupported-media-type",
                                           "Content-Type must be application/trickle-ice-sdpfrag");
        response.headers.emplace_back("Accept-Patch", "application/trickle-ice-sdpfrag");
        return responder.send(std::move(response));
    }
    auto fragment = parse_sdp_fragment(request.body);
    if (!fragment) {
        return responder.send(error_response(400, "bad-sdpfrag", fragment.error().detail));
    }
    // RFC 9725 4.3.2: fragments that only trickle have the credentials, too.
    if (fragment->password.empty()) {
        return take_candidates(worker, *peer, std::move(*fragment), no_content(), responder);
    }
    worker->hooks.rtc_restart(
        *peer, fragment->ufrag, fragment->password,
        [worker, peer = *peer, fragment = *fragment,
         responder](const Result<std::string>& restarted) {
            if (!restarted)
                return responder.send(refusal_of_patch("bad-sdpfrag", restarted.error()));
            Response response = no_content();
            if (!restarted->empty()) {
                response.status = 200;
                response.content_type = "application/trickle-ice-sdpfrag";
                response.body = *restarted;
            }
            take_candidates(worker, peer, fragment, std::move(response), responder);
        });
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
    KOLLATOR_CHECK(hooks.health && hooks.refresh && hooks.stats && hooks.clear_cache &&
                   hooks.metrics && hooks.rtc_accept && hooks.rtc_candidates && hooks.rtc_restart &&
                   hooks.rtc_close);
    add_object_endpoints(server, hooks.objects, options.admin_token);
    add_dht_endpoints(server, hooks.dht, options.admin_token);
    const std::size_t pending = options.pending_per_address;
    const auto worker = std::make_shared<Worker>(
        Worker{std::move(hooks), std::move(options), SessionNames(random), PendingOffers(pending)});

    const auto at_once = [worker](auto answer) {
        return [worker, answer](const Request& request, const Responder& responder) {
            responder.send(answer(*worker, request));
        };
    };
    const auto of_worker = [worker](auto answer) {
        return [worker, answer](const Request& request, const Responder& responder) {
            answer(worker, request, responder);
        };
    };
    const auto refreshed = [worker](Response (*answer)(const Worker&)) {
        return [worker, answer](const Request&, const Responder& responder) {
            worker->hooks.refresh([worker, answer, responder] { responder.send(answer(*worker)); });
        };
    };
    server.route("GET", "/", refreshed(get_page));
    server.route("GET", "/health",
                 at_once([](const Worker& state, const Request&) { return get_health(state); }));
    server.route("GET", "/metrics", refreshed(get_metrics));
    server.route("GET", "/stats", [worker](const Request& request, const Responder& responder) {
        const bool admin = !refuse_unless_admin(request, worker->options.admin_token).has_value();
        worker->hooks.refresh([worker, admin, responder] {
            const Reader reader = admin ? Reader::kAdmin : Reader::kAnyone;
            responder.send(fresh(json_response(200, stats_json(worker->hooks.stats(), reader))));
        });
    });
    server.route("POST", "/cache/clear", of_worker(post_cache_clear));
    const RouteOptions rtc{.cors = true, .max_body_bytes = kMaxOfferBytes};
    server.route("POST", "/rtc", of_worker(post_rtc), rtc);
    server.route("PATCH", "/rtc/{session}", of_worker(patch_rtc), rtc);
    server.route("DELETE", "/rtc/{session}", at_once(delete_rtc), rtc);
}

}  // namespace kollator::http
