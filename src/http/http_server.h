#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "base/time.h"
#include "http/message.h"
#include "http/router.h"
#include "http/web_socket_peer.h"
#include "loop/event_loop.h"

namespace kollator::http {

struct HttpServerOptions {
    std::string bind_address = "0.0.0.0";  ///< numeric; "::" takes IPv4 too
    std::uint16_t port = 0;                ///< 0: any, see port()
    std::size_t max_connections = 1024;    ///< over it a connection gets 503 and is closed
    std::size_t max_header_bytes = 16 * 1024;
    Duration header_timeout = std::chrono::seconds(10);  ///< from its first byte, or the connect
    Duration body_timeout = std::chrono::seconds(30);
    Duration idle_timeout = std::chrono::seconds(60);  ///< between requests
    Duration write_timeout = std::chrono::seconds(60);
    Duration handler_timeout = std::chrono::seconds(60);  ///< without an answer: 504
    /// Request::remote_address is what these say of it (TrustedProxies::parse).
    std::vector<std::string> trusted_proxies = {};
    MetricsRegistry* metrics = nullptr;  ///< outlives the server
};

struct ServerCore;

/// An HTTP/1.1 and WebSocket server on a loop. Loop thread only, except that it may be made before
/// the loop runs. Requests of one connection are served one after the other, in order; pipelining
/// is allowed. Handlers run on the loop and may destroy anything but the server.
///
/// What the server does by itself: HEAD, OPTIONS and CORS preflights, 404, 405 with Allow, 408,
/// 413, 431, 400, Date, X-Content-Type-Options, Referrer-Policy, and for HTML a
/// Content-Security-Policy where the handler gave none.
class HttpServer {
 public:
    /// Binds and listens. kUnavailable: the port is taken or the address is not this machine's.
    /// kInvalid: an address in the options is none.
    static Result<std::unique_ptr<HttpServer>> listen(EventLoop& loop, HttpServerOptions options);
    /// Ends every connection at once.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// `pattern`: "/rtc/{session}"; a parameter takes one segment that is not empty.
    void route(std::string_view method, std::string_view pattern, Handler handler,
               RouteOptions options = {});
    void web_socket(std::string_view pattern, WebSocketHandler handler,
                    WebSocketOptions options = {});

    std::uint16_t port() const;
    std::size_t connections() const;

    /// Stops accepting, lets what is under way finish until `deadline` from now, closes WebSockets
    /// with 1001, then cuts what is left. `on_done` runs once, on the loop, unless the server is
    /// destroyed before. Called at most once.
    void stop(Duration deadline, std::function<void()> on_done);

 private:
    explicit HttpServer(std::shared_ptr<ServerCore> core);
    std::shared_ptr<ServerCore> core_;
};

}  // namespace kollator::http
