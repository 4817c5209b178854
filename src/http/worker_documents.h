#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/cache_document.h"
#include "http/dht_endpoints.h"

namespace kollator::http {

/// The documents that a worker's endpoints give (protocol.md, section 4), and their JSON.

enum class CheckStatus { kOk, kWarn, kError };

/// "ok", "warn" or "error".
const char* name_of(CheckStatus status);

struct HealthCheck {
    std::string name;  ///< "cache", "store", …
    CheckStatus status = CheckStatus::kOk;
    std::string detail;
};

struct HealthReport {
    std::string worker_id;
    std::string version;
    std::uint64_t uptime_s = 0;
    std::vector<HealthCheck> checks;

    /// The worst of the checks.
    CheckStatus status() const;
};

struct OperationCount {
    std::string operation;  ///< "get"
    std::string result;     ///< "ok"
    std::uint64_t count = 0;
};

/// A calendar month's egress of the object store.
struct EgressUse {
    std::string month;  ///< "2026-11"
    std::uint64_t used_bytes = 0;
    std::uint64_t budget_bytes = 0;  ///< 0: none
    bool limited = false;
};

/// A fellow worker, and our link to it.
struct FellowStats {
    std::string id;  ///< empty: not known yet
    std::string address;
    std::string state;  ///< "down", "connecting", "proving", "up"
    bool usable = false;
    std::uint64_t asked = 0;  ///< for chunks
    std::uint64_t got = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t not_found = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t failures = 0;
    std::uint64_t corrupt = 0;
    std::string error;
};

/// One UDP socket of data channels, and the thread that serves it.
struct ShardStats {
    std::uint16_t port = 0;
    std::uint64_t active = 0;  ///< connections
    std::uint64_t total = 0;
    std::uint64_t sent_bytes = 0;  ///< UDP payload
    std::uint64_t received_bytes = 0;
};

struct WorkerStats {
    std::string worker_id;
    std::string version;
    std::uint64_t uptime_s = 0;
    std::vector<std::string> direct_addresses;  ///< protocol.md 1.3
    std::vector<std::string> candidates;        ///< ICE's, as answers name them
    struct {
        std::uint64_t active = 0;
        std::uint64_t total = 0;
    } connections;
    std::vector<ShardStats> shards;
    CacheReport cache;
    struct {
        std::uint64_t requests = 0;
        std::uint64_t errors = 0;
        std::uint64_t retries = 0;
        std::uint64_t retries_refused = 0;
        std::uint64_t refused = 0;  ///< failed at once: the circuit was open
        std::uint64_t uploaded_chunks = 0;
        std::uint64_t uploaded_bytes = 0;
        std::uint64_t sent_bytes = 0;
        std::uint64_t downloaded_bytes = 0;
        std::uint64_t in_flight = 0;
        std::uint64_t in_flight_limit = 0;
        std::string circuit;  ///< "closed", "half-open", "open"
        std::vector<OperationCount> operations;
        std::optional<EgressUse> egress;
    } storage;
    struct {
        std::uint64_t objects = 0;
        std::uint64_t size_bytes = 0;
        std::uint64_t max_bytes = 0;
        std::uint64_t oldest_age_s = 0;
        std::uint64_t sending = 0;
        std::uint64_t withheld = 0;  ///< of the objects: denied, so not sent
        std::uint64_t sent = 0;
        std::uint64_t failures = 0;
        std::uint64_t damaged = 0;
        std::string last_error;
    } backlog;  ///< of what is on its way to the object store; all 0 where nothing is journaled
    struct {
        std::uint64_t denylist_hashes = 0;  ///< in force
        std::uint64_t denied_requests = 0;  ///< reads and stores refused
        std::uint64_t purged_from_cache = 0;
        std::uint64_t deleted = 0;  ///< at the object store
        std::uint64_t deletes_pending = 0;
        std::int64_t next_delete_s = 0;  ///< since 1970; 0: none waits
        std::uint64_t delete_failures = 0;
        struct Purge {
            std::uint64_t hashes_left = 0;
            std::uint64_t purged = 0;
            std::uint64_t failures = 0;
        };
        std::optional<Purge> purge;  ///< of the object store, where it is set
        struct Expiry {
            std::uint64_t passes = 0;
            std::uint64_t seen = 0;
            std::uint64_t expired = 0;
            std::uint64_t failures = 0;
            std::int64_t finished_s = 0;  ///< the last pass, since 1970; 0: none yet
        };
        std::optional<Expiry> expiry;  ///< where it is set
    } takedown;
    std::vector<FellowStats> fellows;
    DhtStats dht;
};

/// {"status":"ok"|"warn"|"error","workerId","uptime","version","checks":{name:{status,detail}}}
std::string health_json(const HealthReport& report);

std::string stats_json(const WorkerStats& stats, Reader reader);

}  // namespace kollator::http
