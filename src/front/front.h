#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "front/signaling_hub.h"
#include "front/web_assets.h"
#include "loop/event_loop.h"

namespace kollator::front {

/// As RTCPeerConnection takes them.
struct IceServer {
    std::vector<std::string> urls;  ///< "stun:host:port", "turn:host:port?transport=udp"
    std::string username;           ///< empty for STUN
    std::string credential;
};

struct FrontOptions {
    std::string bind_address = "0.0.0.0";  ///< numeric; "::" takes IPv4 too
    std::uint16_t port = 0;                ///< 0: any, see Front::port()
    std::string version;                   ///< for GET /health
    Bytes shared_key;                      ///< empty: no worker can register
    /// WORKER_HEALTH_TIMEOUT; one second of grace is added.
    Duration worker_health_timeout = std::chrono::seconds(1);
    std::vector<IceServer> ice_servers;
    /// TURN_SECRET: clients get a user and a password for a day each, in place of `ice_servers`'.
    std::string turn_secret;
    std::span<const WebAsset> assets;  ///< web_assets(), or a test's own; outlive the front
    HubLimits limits;
    std::size_t max_connections = 12'000;      ///< WebSockets and HTTP
    std::vector<std::string> trusted_proxies;  ///< as HttpServerOptions'
    MetricsRegistry* metrics = nullptr;        ///< outlives the front
};

/// Introduces clients to workers, and serves the web application. Holds nothing that could be lost.
/// Loop thread only.
class Front {
 public:
    virtual ~Front() = default;
    virtual std::uint16_t port() const = 0;
    /// The workers that a client could be sent to now.
    virtual std::size_t living_workers() const = 0;
    /// As HttpServer::stop.
    virtual void stop(Duration deadline, std::function<void()> on_done) = 0;
};

/// Binds and listens. `loop`, `clock` and `random` outlive the front. kUnavailable: the port is
/// taken; kInvalid: the address is not numeric.
Result<std::unique_ptr<Front>> make_front(EventLoop& loop, const Clock& clock, Random& random,
                                          FrontOptions options);

}  // namespace kollator::front
