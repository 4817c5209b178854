#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "front/front.h"
#include "front/worker_pool.h"
#include "http/message.h"

namespace kollator::front {

/// GET /workers: [{"id","url","connections","capacity","lastSeen" (ms since 1970),…}]
std::string workers_json(const std::vector<PooledWorker>& workers);

/// POST /bootstrap. REQUIRES: `chosen` is not empty; the first is the client's worker.
std::string bootstrap_json(const std::vector<PooledWorker>& chosen,
                           const std::string& signaling_url,
                           std::span<const IceServer> ice_servers);

struct FrontHealth {
    std::string version;
    std::uint64_t uptime_s = 0;
    std::size_t workers = 0;  ///< living
    std::size_t clients = 0;
    std::uint64_t relayed = 0;
};

/// "warn" where there is no worker: the front itself is well.
std::string health_json(const FrontHealth& health);

/// "ws://host:8080/signaling" from the request's Host and X-Forwarded-Proto. Empty: the Host is not
/// one that could stand in a URL.
std::optional<std::string> signaling_url(const http::Request& request);

}  // namespace kollator::front
