#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "peer/http_client.h"

namespace kollator::peer {

struct WorkerAddress {
    std::string id;
    std::string url;  ///< base of its HTTP port; empty where the front knows none

    bool operator==(const WorkerAddress&) const = default;
};

/// As a front gives it, unparsed: "stun:host:3478", "turn:host:3478?transport=tcp".
struct IceServerAddress {
    std::string url;
    std::string username;
    std::string credential;

    bool operator==(const IceServerAddress&) const = default;
};

/// What a front answers to POST /bootstrap (docs/protocol.md, 1.2).
struct Bootstrap {
    std::vector<WorkerAddress> workers;  ///< the one to use, then those to fall back on
    std::string signaling_url;
    std::vector<IceServerAddress> ice_servers;
};

inline constexpr std::size_t kMaxBootstrapWorkers = 64;
inline constexpr std::size_t kMaxBootstrapIceServers = 32;

/// kNotFound: the front knows no worker. kInvalid: no such document. `front_url`: where it came
/// from; the signaling is secure where the front is.
Result<Bootstrap> parse_bootstrap(std::string_view body, const std::string& front_url);

/// Asks a front. `done` runs once: the errors of parse_bootstrap(), and kUnavailable or kTimeout
/// where no front answers.
void bootstrap(HttpClient& http, const std::string& front_url,
               std::function<void(Result<Bootstrap>)> done);

}  // namespace kollator::peer
