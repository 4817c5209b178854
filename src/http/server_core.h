#pragma once

// Internal to http: what the server and its connections share.

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "http/http_server.h"
#include "http/router.h"
#include "http/trusted_proxies.h"
#include "loop/event_loop.h"

namespace kollator::http {

using Tcp = boost::asio::ip::tcp;

/// A connection in the server's list, HTTP's or WebSocket's. It keeps itself alive by its pending
/// operations; the list only reaches it for stopping.
class LiveConnection {
 public:
    virtual ~LiveConnection() = default;
    /// Finish what is under way, then close.
    virtual void begin_stop() = 0;
    /// Close at once and call nobody.
    virtual void abort() = 0;
};

struct ServerMetrics {
    explicit ServerMetrics(MetricsRegistry& registry);
    Counter& for_status(int status) { return requests[status / 100 - 1]; }

    Counter requests[5];  ///< by class: 1xx to 5xx
    Counter refused;      ///< connections over the limit
    Gauge connections;
};

/// Owned by the server and its connections; after the server's end it is only `stopping`.
struct ServerCore : std::enable_shared_from_this<ServerCore> {
    ServerCore(EventLoop& the_loop, HttpServerOptions the_options);

    void add(LiveConnection* connection);
    void remove(LiveConnection* connection);
    bool idle() const { return connections.empty(); }
    void abort_all();
    void tell_stopped();

    EventLoop& loop;
    const HttpServerOptions options;
    TrustedProxies proxies;
    Router router;
    Tcp::acceptor acceptor;
    std::uint16_t port = 0;
    Timer retry_timer;  ///< accepting again after the process ran out of descriptors
    Timer stop_timer;
    std::unordered_set<LiveConnection*> connections;
    std::optional<ServerMetrics> metrics;
    std::function<void()> on_stopped;
    bool stopping = false;
};

/// Serves HTTP on an accepted socket until it ends or becomes a WebSocket.
void start_http_connection(std::shared_ptr<ServerCore> core, Tcp::socket socket);

/// "192.0.2.1": an IPv4 address in IPv6 clothes is undressed.
struct RemoteAddress {
    std::string text;
    bool is_loopback = false;
};
RemoteAddress remote_address_of(const Tcp::socket& socket);

}  // namespace kollator::http
