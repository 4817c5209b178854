#include "front/front.h"

#include "base/log.h"
#include "crypto/turn_credentials.h"
#include "front/documents.h"
#include "http/http_server.h"
#include "http/static_asset.h"

namespace kollator::front {
namespace {

using http::Request;
using http::Responder;
using http::Response;

const log::Logger kLog("front");

/// protocol.md, 1.2: WORKER_HEALTH_TIMEOUT "plus one second of grace".
constexpr Duration kHealthGrace = std::chrono::seconds(1);
constexpr std::size_t kAlternatives = 3;
constexpr Duration kSweepInterval = std::chrono::seconds(1);
/// A worker reads for all of its clients: give it more room than the default.
constexpr std::size_t kMaxQueuedBytes = 4 * 1024 * 1024;

class FrontServer final : public Front {
 public:
    FrontServer(EventLoop& loop, const Clock& clock, Random& random, FrontOptions options,
                std::unique_ptr<http::HttpServer> server)
        : clock_(clock),
          options_(std::move(options)),
          started_at_(clock.now()),
          pool_(options_.worker_health_timeout + kHealthGrace),
          hub_(clock, random, pool_, options_.shared_key, options_.limits),
          sweep_timer_(loop),
          server_(std::move(server)) {
        add_routes();
        sweep_later();
    }

    std::uint16_t port() const override { return server_->port(); }
    std::size_t living_workers() const override { return pool_.living(clock_.now()).size(); }
    void stop(Duration deadline, std::function<void()> on_done) override {
        server_->stop(deadline, std::move(on_done));
    }

 private:
    void add_routes();
    void add_assets();
    void sweep_later() {
        sweep_timer_.start_after(kSweepInterval, [this] {
            hub_.sweep();
            sweep_later();
        });
    }

    Response get_health() const;
    Response get_workers() const;
    Response post_bootstrap(const Request& request) const;
    std::vector<IceServer> ice_servers() const;

    const Clock& clock_;
    const FrontOptions options_;
    const TimePoint started_at_;
    WorkerPool pool_;
    SignalingHub hub_;
    Timer sweep_timer_;
    std::unique_ptr<http::HttpServer> server_;  // last: its connections hold the hub's observers
};

Response FrontServer::get_health() const {
    FrontHealth health;
    health.version = options_.version;
    health.uptime_s = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_at_).count());
    health.workers = living_workers();
    health.clients = hub_.clients();
    health.relayed = hub_.relayed();
    return http::fresh(http::json_response(200, health_json(health)));
}

Response FrontServer::get_workers() const {
    return http::fresh(http::json_response(200, workers_json(pool_.living(clock_.now()))));
}

Response FrontServer::post_bootstrap(const Request& request) const {
    const auto url = signaling_url(request);
    if (!url) return http::error_response(400, "bad-request", "the Host header is not a host");
    const auto chosen = pool_.choose(request.remote_address, kAlternatives, clock_.now());
    if (chosen.empty()) {
        Response response = http::error_response(
            503, "no-worker", "no worker is connected to this front now; try again in a moment");
        response.headers.emplace_back("Retry-After", "2");
        return http::fresh(std::move(response));
    }
    return http::fresh(http::json_response(200, bootstrap_json(chosen, *url, ice_servers())));
}

/// As a client may use them from now on.
std::vector<IceServer> FrontServer::ice_servers() const {
    std::vector<IceServer> servers = options_.ice_servers;
    if (options_.turn_secret.empty()) return servers;
    for (IceServer& server : servers) {
        if (!server.urls.front().starts_with("turn")) continue;
        auto made =
            crypto::turn_credentials(options_.turn_secret, server.username, clock_.wall_now());
        server.username = std::move(made.username);
        server.credential = std::move(made.password);
    }
    return servers;
}

void FrontServer::add_routes() {
    // A page of another origin, or another site's own, may find its worker here too.
    const http::RouteOptions open{.cors = true};
    server_->route(
        "GET", "/health",
        [this](const Request&, const Responder& responder) { responder.send(get_health()); }, open);
    server_->route(
        "GET", "/workers",
        [this](const Request&, const Responder& responder) { responder.send(get_workers()); },
        open);
    server_->route(
        "POST", "/bootstrap",
        [this](const Request& request, const Responder& responder) {
            responder.send(post_bootstrap(request));
        },
        open);
    http::WebSocketOptions socket;
    socket.max_message_bytes = signaling::kMaxMessageBytes;
    socket.max_queued_bytes = kMaxQueuedBytes;
    server_->web_socket(
        "/signaling",
        [this](const Request&, std::shared_ptr<http::WebSocketPeer> peer) {
            return hub_.join(std::move(peer));
        },
        socket);
    add_assets();
}

void FrontServer::add_assets() {
    for (const WebAsset& asset : options_.assets) {
        const http::StaticAsset file{.content_type = asset.content_type,
                                     .bytes = asset.bytes,
                                     .etag = asset.etag,
                                     .gzip_bytes = asset.gzip_bytes};
        const http::Handler serve = [file](const Request& request, const Responder& responder) {
            responder.send(http::asset_response(file, request));
        };
        server_->route("GET", asset.path, serve);
        // A share link is "/#…": the fragment stays in the browser, so "/" is all it asks for.
        if (asset.path == "/index.html") server_->route("GET", "/", serve);
    }
}

}  // namespace

Result<std::unique_ptr<Front>> make_front(EventLoop& loop, const Clock& clock, Random& random,
                                          FrontOptions options) {
    http::HttpServerOptions http_options;
    http_options.bind_address = options.bind_address;
    http_options.port = options.port;
    http_options.max_connections = options.max_connections;
    http_options.metrics = options.metrics;
    http_options.trusted_proxies = options.trusted_proxies;
    auto server = http::HttpServer::listen(loop, std::move(http_options));
    if (!server) return server.error();
    if (options.shared_key.empty()) {
        kLog.warn("event=no-shared-key effect=\"no worker can register at this front\"");
    }
    return std::unique_ptr<Front>(
        std::make_unique<FrontServer>(loop, clock, random, std::move(options), *std::move(server)));
}

}  // namespace kollator::front
