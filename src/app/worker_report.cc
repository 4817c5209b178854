#include "app/worker_report.h"

#include <algorithm>

namespace kollator::app {
namespace {

using http::CheckStatus;
using http::HealthCheck;

std::uint64_t seconds_between(TimePoint from, TimePoint to) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(to - from).count());
}

HealthCheck check_store(const ReportSources& sources) {
    const std::string name = sources.store.describe();
    if (sources.probe.pending()) return {"store", CheckStatus::kOk, name + ": not asked yet"};
    const Status& last = sources.probe.last();
    if (last.ok()) return {"store", CheckStatus::kOk, name};
    // Cached chunks are still served: the worker is hurt, not dead.
    return {"store", CheckStatus::kWarn, name + ": " + last.error().detail};
}

HealthCheck check_cache(const cache::CacheStats& stats) {
    if (!stats.bypassed) {
        const std::string loading = stats.loading ? "being indexed, so far " : "";
        return {"cache", CheckStatus::kOk, loading + http::human_size(stats.size_bytes)};
    }
    return {"cache", CheckStatus::kWarn, "bypassed: " + stats.bypass_reason};
}

/// Warned of before it matters: a full backlog refuses stores, an old one has not been where it is
/// safe from this disk's end.
HealthCheck check_backlog(const store::JournalStats& journal) {
    constexpr std::uint64_t kFullPercent = 80;
    constexpr std::chrono::minutes kOld{5};
    const auto age_s = std::chrono::duration_cast<std::chrono::seconds>(journal.oldest_age).count();
    std::string detail = std::to_string(journal.objects) + " objects, " +
                         http::human_size(journal.size_bytes) + " of " +
                         http::human_size(journal.max_bytes) + ", the oldest " +
                         std::to_string(age_s) + " s old";
    if (!journal.write_error.empty()) detail += "; not written: " + journal.write_error;
    if (!journal.send_error.empty()) detail += "; not sent: " + journal.send_error;
    if (journal.withheld > 0) {
        detail += "; " + std::to_string(journal.withheld) + " not sent: they are on the denylist";
    }
    if (journal.damaged > 0) {
        detail += "; " + std::to_string(journal.damaged) + " damaged on this disk since the start";
    }
    const bool full = journal.size_bytes * 100 >= journal.max_bytes * kFullPercent;
    const bool well =
        !full && journal.oldest_age < kOld && journal.write_error.empty() && journal.damaged == 0;
    return {"backlog", well ? CheckStatus::kOk : CheckStatus::kWarn, std::move(detail)};
}

HealthCheck check_fronts(const ReportSources& sources) {
    const auto registered = std::count_if(sources.fronts.begin(), sources.fronts.end(),
                                          [](const auto& front) { return front->registered(); });
    const bool all = static_cast<std::size_t>(registered) == sources.fronts.size();
    return {
        "fronts", all ? CheckStatus::kOk : CheckStatus::kWarn,
        std::to_string(registered) + " of " + std::to_string(sources.fronts.size()) + " connected"};
}

/// Warned of each fellow that is known and not linked: its chunks come from the object store.
HealthCheck check_fellows(const std::vector<cluster::FellowInfo>& fellows) {
    std::size_t known = 0;
    std::size_t up = 0;
    std::string faults;
    for (const cluster::FellowInfo& fellow : fellows) {
        if (fellow.unwanted) continue;
        ++known;
        const bool linked = fellow.state == cluster::LinkState::kUp;
        if (linked) ++up;
        if (linked && fellow.usable) continue;
        faults += "; " + (fellow.id.empty() ? fellow.address : fellow.id) +
                  (linked ? " is left alone for a while" : " is not linked");
        if (!fellow.error.empty()) faults += ": " + fellow.error;
    }
    return {"fellows", faults.empty() ? CheckStatus::kOk : CheckStatus::kWarn,
            std::to_string(up) + " of " + std::to_string(known) + " linked" + faults};
}

void fill_cluster(http::WorkerStats& stats, const std::vector<cluster::FellowInfo>& fellows) {
    for (const cluster::FellowInfo& fellow : fellows) {
        if (fellow.unwanted) continue;
        stats.fellows.push_back({.id = fellow.id,
                                 .address = fellow.address,
                                 .state = std::string(to_string(fellow.state)),
                                 .usable = fellow.usable,
                                 .asked = fellow.counts.asked,
                                 .got = fellow.counts.got,
                                 .received_bytes = fellow.counts.received_bytes,
                                 .not_found = fellow.counts.not_found,
                                 .timeouts = fellow.counts.timeouts,
                                 .failures = fellow.counts.failures,
                                 .corrupt = fellow.counts.corrupt,
                                 .error = fellow.error});
    }
}

void fill_storage(http::WorkerStats& stats, const store::StoreStats& stored) {
    auto& storage = stats.storage;
    storage.requests = stored.requests;
    storage.errors = stored.errors;
    storage.retries = stored.retries;
    storage.retries_refused = stored.retries_refused;
    storage.refused = stored.refused;
    storage.uploaded_chunks = stored.uploaded_chunks;
    storage.uploaded_bytes = stored.uploaded_bytes;
    storage.sent_bytes = stored.sent_bytes;
    storage.downloaded_bytes = stored.downloaded_bytes;
    storage.in_flight = stored.in_flight;
    storage.in_flight_limit = stored.in_flight_limit;
    storage.circuit = store::to_string(stored.breaker);
    for (const store::RequestCount& answer : stored.answers) {
        storage.operations.push_back(
            {std::string(answer.operation), std::string(answer.result), answer.count});
    }
    if (!stored.egress) return;
    storage.egress = http::EgressUse{stored.egress->month, stored.egress->used_bytes,
                                     stored.egress->budget_bytes, stored.egress->limited};
}

}  // namespace

ClientConnections client_connections(const ReportSources& sources) {
    const rtc::PeerCounts peers = sources.hub.counts();
    const std::uint64_t links = sources.sessions.fellows;
    const std::uint64_t total_links = sources.sessions.total_fellows;
    // A session may outlive its connection by a moment.
    return {peers.active - std::min(peers.active, links),
            peers.total - std::min(peers.total, total_links)};
}

http::HealthReport make_health(const ReportSources& sources, TimePoint now) {
    http::HealthReport report;
    report.worker_id = sources.worker_id;
    report.version = sources.version;
    report.uptime_s = seconds_between(sources.started, now);
    report.checks.push_back(check_store(sources));
    for (store::StoreCheck& check : sources.store.checks()) {
        report.checks.push_back({std::move(check.name),
                                 check.warn ? CheckStatus::kWarn : CheckStatus::kOk,
                                 std::move(check.detail)});
    }
    report.checks.push_back(check_cache(sources.disk_cache.stats()));
    if (sources.journal != nullptr) {
        report.checks.push_back(check_backlog(sources.journal->journal_stats()));
    }
    if (auto denylist = sources.takedown.health()) report.checks.push_back(*denylist);
    if (!sources.fronts.empty()) report.checks.push_back(check_fronts(sources));
    if (sources.fellows != nullptr) {
        report.checks.push_back(check_fellows(sources.fellows->list()));
    }
    return report;
}

http::WorkerStats make_stats(const ReportSources& sources, TimePoint now) {
    http::WorkerStats stats;
    stats.worker_id = sources.worker_id;
    stats.version = sources.version;
    stats.uptime_s = seconds_between(sources.started, now);

    const ClientConnections clients = client_connections(sources);
    stats.connections.active = clients.active;
    stats.connections.total = clients.total;

    stats.candidates = sources.hub.report().candidates;
    for (const rtc::ShardReport& shard : sources.hub.report().shards) {
        stats.shards.push_back({shard.port, shard.stats.active, shard.stats.total,
                                shard.stats.bytes_sent, shard.stats.bytes_received});
    }

    sources.cache_upkeep.fill(stats.cache);

    fill_storage(stats, sources.store.stats());
    if (sources.journal != nullptr) {
        const store::JournalStats journal = sources.journal->journal_stats();
        stats.backlog.objects = journal.objects;
        stats.backlog.size_bytes = journal.size_bytes;
        stats.backlog.max_bytes = journal.max_bytes;
        stats.backlog.oldest_age_s = static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::seconds>(journal.oldest_age).count());
        stats.backlog.sending = journal.sending;
        stats.backlog.withheld = journal.withheld;
        stats.backlog.sent = journal.sent;
        stats.backlog.failures = journal.failures;
        stats.backlog.damaged = journal.damaged;
        stats.backlog.last_error =
            journal.write_error.empty() ? journal.send_error : journal.write_error;
    }
    sources.takedown.add_to(stats);
    if (sources.fellows != nullptr) fill_cluster(stats, sources.fellows->list());
    return stats;
}

}  // namespace kollator::app
