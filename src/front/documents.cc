#include "front/documents.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kollator::front {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxHostBytes = 255;  // RFC 1035 2.3.4, and a port beside it never matters

std::string dump(const json& document) {
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool may_stand_in_a_host(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == ':' || c == '[' || c == ']' || c == '_';
}

json ice_json(const IceServer& server) {
    json object = {{"urls", server.urls}};
    if (!server.username.empty()) object["username"] = server.username;
    if (!server.credential.empty()) object["credential"] = server.credential;
    return object;
}

}  // namespace

std::string workers_json(const std::vector<PooledWorker>& workers) {
    json list = json::array();
    for (const PooledWorker& worker : workers) {
        const auto last_seen = std::chrono::duration_cast<std::chrono::milliseconds>(
            worker.seen_at.time_since_epoch());
        list.push_back({{"id", worker.id},
                        {"url", worker.url},
                        {"connections", worker.status.connections},
                        {"capacity", worker.capacity},
                        {"cacheBytes", worker.status.cache_bytes},
                        {"draining", worker.status.draining},
                        {"lastSeen", last_seen.count()}});
    }
    return dump(list);
}

std::string bootstrap_json(const std::vector<PooledWorker>& chosen,
                           const std::string& signaling_url,
                           std::span<const IceServer> ice_servers) {
    json workers = json::array();
    for (const PooledWorker& worker : chosen) {
        workers.push_back({{"id", worker.id}, {"url", worker.url}});
    }
    const json first = workers.front();
    workers.erase(workers.begin());
    json ice = json::array();
    for (const IceServer& server : ice_servers) ice.push_back(ice_json(server));
    return dump({{"worker", first},
                 {"alternatives", std::move(workers)},
                 {"signaling", signaling_url},
                 {"iceServers", std::move(ice)}});
}

std::string health_json(const FrontHealth& health) {
    const bool served = health.workers > 0;
    return dump({{"status", served ? "ok" : "warn"},
                 {"role", "front"},
                 {"version", health.version},
                 {"uptime", health.uptime_s},
                 {"workers", health.workers},
                 {"clients", health.clients},
                 {"relayed", health.relayed},
                 {"checks",
                  {{"workers",
                    {{"status", served ? "ok" : "warn"},
                     {"detail", served ? "" : "no worker is connected to this front"}}}}}});
}

std::optional<std::string> signaling_url(const http::Request& request) {
    const std::string host(request.header("Host"));
    if (host.empty() || host.size() > kMaxHostBytes ||
        !std::all_of(host.begin(), host.end(), may_stand_in_a_host)) {
        return std::nullopt;
    }
    const bool secure = http::equals_ignoring_case(request.header("X-Forwarded-Proto"), "https");
    return (secure ? "wss://" : "ws://") + host + "/signaling";
}

}  // namespace kollator::front
