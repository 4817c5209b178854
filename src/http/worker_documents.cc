#include "http/worker_documents.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kollator::http {
namespace {

using nlohmann::json;

std::string dump(const json& document) {
    // Details may quote what an object store or a file system said.
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

json egress_json(const std::optional<EgressUse>& egress) {
    if (!egress) return nullptr;
    json budget = nullptr;
    if (egress->budget_bytes > 0) budget = egress->budget_bytes;
    return {{"month", egress->month},
            {"usedBytes", egress->used_bytes},
            {"budgetBytes", std::move(budget)},
            {"limited", egress->limited}};
}

json storage_json(const WorkerStats& stats) {
    const auto& storage = stats.storage;
    json operations = json::object();
    for (const OperationCount& entry : storage.operations) {
        operations[entry.operation][entry.result] = entry.count;
    }
    return {{"s3Requests", storage.requests},
            {"s3Errors", storage.errors},
            {"retries", storage.retries},
            {"retriesRefused", storage.retries_refused},
            {"refused", storage.refused},
            {"uploadedChunks", storage.uploaded_chunks},
            {"uploadedBytes", storage.uploaded_bytes},
            {"sentBytes", storage.sent_bytes},
            {"downloadedBytes", storage.downloaded_bytes},
            {"inFlight", storage.in_flight},
            {"inFlightLimit", storage.in_flight_limit},
            {"circuit", storage.circuit},
            {"operations", std::move(operations)},
            {"egress", egress_json(storage.egress)}};
}

json time_json(std::int64_t seconds) {
    return seconds == 0 ? json() : json(seconds);
}

json takedown_json(const WorkerStats& stats) {
    const auto& takedown = stats.takedown;
    json document = {{"denylistHashes", takedown.denylist_hashes},
                     {"deniedRequests", takedown.denied_requests},
                     {"purgedFromCache", takedown.purged_from_cache},
                     {"deleted", takedown.deleted},
                     {"deletesPending", takedown.deletes_pending},
                     {"nextDelete", time_json(takedown.next_delete_s)},
                     {"deleteFailures", takedown.delete_failures}};
    if (takedown.purge) {
        document["storePurge"] = {{"hashesLeft", takedown.purge->hashes_left},
                                  {"purged", takedown.purge->purged},
                                  {"failures", takedown.purge->failures}};
    }
    if (takedown.expiry) {
        document["expiry"] = {{"passes", takedown.expiry->passes},
                              {"seen", takedown.expiry->seen},
                              {"expired", takedown.expiry->expired},
                              {"failures", takedown.expiry->failures},
                              {"lastPass", time_json(takedown.expiry->finished_s)}};
    }
    return document;
}

json shards_json(const std::vector<ShardStats>& shards) {
    json list = json::array();
    for (const ShardStats& shard : shards) {
        list.push_back({{"port", shard.port},
                        {"active", shard.active},
                        {"total", shard.total},
                        {"sentBytes", shard.sent_bytes},
                        {"receivedBytes", shard.received_bytes}});
    }
    return list;
}

json fellows_json(const std::vector<FellowStats>& fellows) {
    json list = json::array();
    for (const FellowStats& fellow : fellows) {
        list.push_back({{"id", fellow.id},
                        {"address", fellow.address},
                        {"state", fellow.state},
                        {"usable", fellow.usable},
                        {"asked", fellow.asked},
                        {"got", fellow.got},
                        {"receivedBytes", fellow.received_bytes},
                        {"notFound", fellow.not_found},
                        {"timeouts", fellow.timeouts},
                        {"failures", fellow.failures},
                        {"corrupt", fellow.corrupt},
                        {"error", fellow.error}});
    }
    return list;
}

}  // namespace

const char* name_of(CheckStatus status) {
    switch (status) {
        case CheckStatus::kOk:
            return "ok";
        case CheckStatus::kWarn:
            return "warn";
        case CheckStatus::kError:
            break;
    }
    return "error";
}

CheckStatus HealthReport::status() const {
    CheckStatus worst = CheckStatus::kOk;
    for (const HealthCheck& check : checks) worst = std::max(worst, check.status);
    return worst;
}

std::string health_json(const HealthReport& report) {
    json checks = json::object();
    for (const HealthCheck& check : report.checks) {
        checks[check.name] = {{"status", name_of(check.status)}, {"detail", check.detail}};
    }
    return dump({{"status", name_of(report.status())},
                 {"workerId", report.worker_id},
                 {"uptime", report.uptime_s},
                 {"version", report.version},
                 {"checks", std::move(checks)}});
}

std::string stats_json(const WorkerStats& stats, Reader reader) {
    return dump({{"workerId", stats.worker_id},
                 {"version", stats.version},
                 {"uptime", stats.uptime_s},
                 {"directAddresses", stats.direct_addresses},
                 {"candidates", stats.candidates},
                 {"connections",
                  {{"active", stats.connections.active}, {"total", stats.connections.total}}},
                 {"shards", shards_json(stats.shards)},
                 {"cache", cache_json(stats.cache, reader)},
                 {"storage", storage_json(stats)},
                 {"backlog",
                  {{"objects", stats.backlog.objects},
                   {"sizeBytes", stats.backlog.size_bytes},
                   {"maxBytes", stats.backlog.max_bytes},
                   {"oldestAge", stats.backlog.oldest_age_s},
                   {"sending", stats.backlog.sending},
                   {"withheld", stats.backlog.withheld},
                   {"sent", stats.backlog.sent},
                   {"failures", stats.backlog.failures},
                   {"damaged", stats.backlog.damaged},
                   {"lastError", stats.backlog.last_error}}},
                 {"takedown", takedown_json(stats)},
                 {"fellows", fellows_json(stats.fellows)},
                 {"dht", dht_json(stats.dht)}});
}

}  // namespace kollator::http
