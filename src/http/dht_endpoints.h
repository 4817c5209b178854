#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "http/http_server.h"

namespace kollator::http {

struct DhtPeer {
    std::string address;  ///< numeric, without brackets
    std::uint16_t port = 0;
};

/// What /stats tells of the DHT. Durations in seconds unless the name says otherwise.
struct DhtStats {
    bool enabled = false;
    bool read_only = false;
    std::vector<std::uint16_t> ports;  ///< UDP, listened on
    std::string listen_error;          ///< empty: none
    struct Table {
        bool v6 = false;
        std::string node_id;
        std::size_t nodes = 0;
        std::size_t replacements = 0;
    };
    std::vector<Table> tables;
    std::size_t contacts = 0;
    std::size_t good = 0;
    std::size_t stale = 0;
    double network_size = 0;
    double rtt_ms = 0;
    double rtt_p99_ms = 0;
    std::uint64_t silence_s = 0;
    bool lost = false;
    std::uint64_t rejoins = 0;

    std::size_t keys = 0;
    std::size_t due = 0;
    std::size_t late = 0;
    std::uint64_t oldest_s = 0;
    std::uint64_t announcements = 0;  ///< keys, with an acknowledgement
    std::uint64_t announce_failures = 0;
    std::uint64_t acknowledged = 0;  ///< messages
    std::uint64_t refused_keys = 0;  ///< there was no room for them
    std::size_t memory_bytes = 0;
    unsigned packets_per_second = 0;  ///< the limit
    double packets_needed = 0;        ///< a second, for all keys in time

    std::uint64_t queries = 0;  ///< of ours, sent
    std::uint64_t answers = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t dropped = 0;
    std::uint64_t refused_sends = 0;  ///< to addresses that must not be dialled

    std::uint64_t lookups = 0;  ///< asked
    std::uint64_t lookups_cached = 0;
    std::uint64_t lookups_shared = 0;
    std::uint64_t lookups_refused = 0;
    std::uint64_t lookups_done = 0;
    std::uint64_t lookups_found = 0;
    std::uint64_t lookups_unanswered = 0;

    std::size_t peers = 0;  ///< that others announced to our node, now
    std::size_t peer_keys = 0;
    std::uint64_t peers_announced = 0;

    /// Of the look-ups that ended, how many some node answered; 1 where there was none.
    double success_rate() const;
};

nlohmann::json dht_json(const DhtStats& stats);

/// What the endpoints ask of the DHT. All run on the loop; an empty `look_up` is a worker that is
/// not in the DHT: 501.
struct DhtHooks {
    /// Announces all that this worker holds, now; gives how many names that are. kLimit: it was
    /// done just now.
    std::function<Result<std::size_t>()> announce;
    using OnPeers = std::function<void(Result<std::vector<DhtPeer>>)>;
    std::function<void(const ChunkId&, OnPeers)> look_up;
    std::function<std::vector<DhtPeer>(const InfoHash&)> heard;
};

/// POST /dht/announce, GET /dht/lookup/<hash>, GET /dht/peers/<hash>.
void add_dht_endpoints(HttpServer& server, DhtHooks hooks, const std::string& admin_token);

}  // namespace kollator::http
