#include "http/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/write.hpp>

#include "base/check.h"
#include "base/log.h"
#include "http/server_core.h"
#include "loop/asio_access.h"

namespace kollator::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

const log::Logger kLog("http");

/// Out of descriptors: they come back only when something closes, so do not spin.
constexpr Duration kAcceptRetryDelay = std::chrono::milliseconds(100);

constexpr std::string_view kFullAnswer =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Content-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n";

void accept_next(const std::shared_ptr<ServerCore>& core);

void refuse(Tcp::socket socket) {
    // One attempt, without waiting: a fresh socket's send buffer has the room.
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kFullAnswer), ignored);
    socket.shutdown(Tcp::socket::shutdown_send, ignored);
}

void on_accepted(const std::shared_ptr<ServerCore>& core, error_code error, Tcp::socket socket) {
    if (core->stopping) return;
    if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
        error == asio::error::no_memory) {
        kLog.warn("event=accept-failed error=\"{}\"", error.message());
        core->retry_timer.start_after(
            kAcceptRetryDelay, [core = core.get()] { accept_next(core->shared_from_this()); });
        return;
    }
    if (!error && core->connections.size() >= core->options.max_connections) {
        if (core->metrics) core->metrics->refused.add();
        refuse(std::move(socket));
    } else if (!error) {
        error_code ignored;
        socket.set_option(Tcp::no_delay(true), ignored);
        start_http_connection(core, std::move(socket));
    }
    accept_next(core);
}

void accept_next(const std::shared_ptr<ServerCore>& core) {
    core->acceptor.async_accept([core](error_code error, Tcp::socket socket) {
        on_accepted(core, error, std::move(socket));
    });
}

Error unavailable(const HttpServerOptions& options, const error_code& error) {
    return make_error(ErrorCode::kUnavailable,
                      fmt::format("cannot listen on {} port {}: {}", options.bind_address,
                                  options.port, error.message()));
}

}  // namespace

ServerMetrics::ServerMetrics(MetricsRegistry& registry)
    : requests{registry.counter("kollator_http_requests_total", "HTTP answers by status class",
                                {{"status", "1xx"}}),
               registry.counter("kollator_http_requests_total", "HTTP answers by status class",
                                {{"status", "2xx"}}),
               registry.counter("kollator_http_requests_total", "HTTP answers by status class",
                                {{"status", "3xx"}}),
               registry.counter("kollator_http_requests_total", "HTTP answers by status class",
                                {{"status", "4xx"}}),
               registry.counter("kollator_http_requests_total", "HTTP answers by status class",
                                {{"status", "5xx"}})},
      refused(registry.counter("kollator_http_refused_connections_total",
                               "Connections refused because there were too many")),
      connections(registry.gauge("kollator_http_connections", "Open HTTP connections")) {}

ServerCore::ServerCore(EventLoop& the_loop, HttpServerOptions the_options)
    : loop(the_loop),
      options(std::move(the_options)),
      acceptor(io_context_of(the_loop)),
      retry_timer(the_loop),
      stop_timer(the_loop) {
    if (options.metrics != nullptr) metrics.emplace(*options.metrics);
}

void ServerCore::add(LiveConnection* connection) {
    connections.insert(connection);
    if (metrics) metrics->connections.set(static_cast<double>(connections.size()));
}

void ServerCore::remove(LiveConnection* connection) {
    if (connections.erase(connection) == 0) return;
    if (metrics) metrics->connections.set(static_cast<double>(connections.size()));
    if (stopping && idle()) tell_stopped();
}

void ServerCore::tell_stopped() {
    stop_timer.cancel();
    // Looked at again then: the server may be destroyed in between.
    loop.post([core = shared_from_this()] {
        if (const auto task = std::exchange(core->on_stopped, nullptr)) task();
    });
}

void ServerCore::abort_all() {
    // abort() removes from the set.
    const auto all = connections;
    for (LiveConnection* connection : all) connection->abort();
}

RemoteAddress remote_address_of(const Tcp::socket& socket) {
    error_code error;
    const auto endpoint = socket.remote_endpoint(error);
    if (error) return {};
    asio::ip::address address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    return {address.to_string(), address.is_loopback()};
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(EventLoop& loop, HttpServerOptions options) {
    error_code error;
    const auto address = asio::ip::make_address(options.bind_address, error);
    if (error) {
        return make_error(
            ErrorCode::kInvalid,
            fmt::format("the address to bind, {}, is not numeric", options.bind_address));
    }
    auto proxies = TrustedProxies::parse(options.trusted_proxies);
    if (!proxies) return proxies.error();
    auto core = std::make_shared<ServerCore>(loop, std::move(options));
    core->proxies = *std::move(proxies);
    const Tcp::endpoint endpoint(address, core->options.port);
    Tcp::acceptor& acceptor = core->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(false), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(Tcp::acceptor::max_listen_connections, error);
    if (!error) core->port = acceptor.local_endpoint(error).port();
    if (error) return unavailable(core->options, error);
    accept_next(core);
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::HttpServer(std::shared_ptr<ServerCore> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
    core_->stopping = true;
    core_->on_stopped = nullptr;
    error_code ignored;
    core_->acceptor.close(ignored);
    core_->retry_timer.cancel();
    core_->stop_timer.cancel();
    core_->abort_all();
    core_->router.clear();
}

void HttpServer::route(std::string_view method, std::string_view pattern, Handler handler,
                       RouteOptions options) {
    KOLLATOR_CHECK(pattern.starts_with('/') && handler);
    Route route;
    route.method = std::string(method);
    route.options = options;
    route.handler = std::move(handler);
    core_->router.add(std::move(route), pattern);
}

void HttpServer::web_socket(std::string_view pattern, WebSocketHandler handler,
                            WebSocketOptions options) {
    KOLLATOR_CHECK(pattern.starts_with('/') && handler);
    Route route;
    route.method = "GET";
    route.web_socket = std::move(handler);
    route.web_socket_options = options;
    core_->router.add(std::move(route), pattern);
}

std::uint16_t HttpServer::port() const {
    return core_->port;
}

std::size_t HttpServer::connections() const {
    return core_->connections.size();
}

void HttpServer::stop(Duration deadline, std::function<void()> on_done) {
    KOLLATOR_CHECK(!core_->stopping);
    core_->stopping = true;
    error_code ignored;
    core_->acceptor.close(ignored);
    core_->retry_timer.cancel();
    core_->on_stopped = std::move(on_done);
    if (core_->idle()) {
        core_->tell_stopped();
        return;
    }
    core_->stop_timer.start_after(deadline, [core = core_.get()] { core->abort_all(); });
    const auto all = core_->connections;
    for (LiveConnection* connection : all) connection->begin_stop();
}

}  // namespace kollator::http
