#include "app/dht_service.h"

#include <algorithm>
#include <utility>

#include "crypto/system_random.h"
#include "dht/shard_keys.h"
#include "http/dht_health.h"
#include "rtc/mux/host_addresses.h"

namespace kollator::app {
namespace {

using std::chrono::seconds;

/// Cached names taken over in one turn of the loop.
constexpr std::size_t kPageEntries = 1000;
/// POST /dht/announce puts every key in line: once in this time is enough.
constexpr seconds kAnnounceAllPause{60};
/// An announcement's packet, with headers: 175 bytes at most. The announcer gets half of what the
/// node may send, so that its answers to others have the other half.
constexpr unsigned kAnnouncePacketBytes = 175;

store::ObjectKey key_of(store::ObjectKind kind, const ChunkId& id) {
    store::ObjectKey key(id);
    key.kind = kind;
    return key;
}

/// 0.0.0.0 listens on both families, as browsers come by both. libtorrent passes over addresses of
/// private networks there: where those are wanted, each is named. Not loopback beside others: all
/// of our queries leave from the first, and from there none reaches another machine. Nor IPv6
/// (ADR 9).
std::vector<std::string> listen_addresses(const config::Config& config) {
    const bool any = config.host == "0.0.0.0" || config.host == "::";
    if (!any) return {config.host};
    if (!config.dht_allow_private) return {"0.0.0.0", "::"};
    std::vector<std::string> addresses;
    for (const auto& address : rtc::choose_host_addresses({}, rtc::machine_addresses())) {
        const bool known =
            std::find(addresses.begin(), addresses.end(), address.text()) != addresses.end();
        if (!address.is_v6() && !known) addresses.push_back(address.text());
    }
    if (addresses.empty()) addresses.emplace_back("127.0.0.1");
    return addresses;
}

/// Buckets end where the promises do: 10 ms from the cache, 100 and 400 ms from the network.
Histogram answer_times(MetricsRegistry& metrics, const std::string& source) {
    return metrics.histogram("kollator_dht_lookup_seconds", "From the question to the first answer",
                             {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1, 2, 4},
                             {{"source", source}});
}

dht::DhtOptions dht_options(const DhtService::Parts& parts) {
    const config::Config& config = parts.config;
    dht::DhtOptions options;
    options.node.addresses = listen_addresses(config);
    options.node.port = config.dht_port;
    options.node.bootstrap = config.dht_bootstrap_nodes;
    options.node.read_only = config.dht_read_only;
    options.node.allow_private = config.dht_allow_private;
    options.node.upload_bytes_per_second = config.dht_upload_bytes_per_second;
    options.announce_port = parts.announce_port;
    options.packets_per_second =
        std::min(config.dht_packets_per_second,
                 config.dht_upload_bytes_per_second / 2 / kAnnouncePacketBytes);
    options.state_path = parts.data / "dht.state";
    options.on_answer = [from_cache = answer_times(parts.metrics, "cache"),
                         from_network = answer_times(parts.metrics, "network")](
                            Duration took, dht::AnswerSource source) mutable {
        Histogram& times = source == dht::AnswerSource::kCache ? from_cache : from_network;
        times.observe(std::chrono::duration<double>(took).count());
    };
    return options;
}

std::vector<http::DhtPeer> to_peers(const std::vector<dht::Endpoint>& endpoints) {
    std::vector<http::DhtPeer> peers;
    for (const dht::Endpoint& at : endpoints) peers.push_back({at.address_text(), at.port});
    return peers;
}

double milliseconds(const std::optional<Duration>& duration) {
    return duration ? std::chrono::duration<double, std::milli>(*duration).count() : 0;
}

}  // namespace

/// What Prometheus sees; counts are gauges that only grow, brought up to date when somebody asks.
struct DhtService::Gauges {
    explicit Gauges(MetricsRegistry& metrics)
        : keys(metrics.gauge("kollator_dht_keys", "Keys that are announced")),
          due(metrics.gauge("kollator_dht_keys_due", "Keys to be announced now")),
          late(metrics.gauge("kollator_dht_keys_late",
                             "Keys whose last announcement is over 25 minutes old")),
          oldest(metrics.gauge("kollator_dht_oldest_announcement_seconds",
                               "Since the last announcement of the longest waiting key")),
          announcements(metrics.gauge("kollator_dht_announcements",
                                      "Keys announced since the start, repeats included")),
          failures(metrics.gauge("kollator_dht_announcement_failures",
                                 "Announcements that no node acknowledged")),
          queries(metrics.gauge("kollator_dht_queries", "Queries sent since the start")),
          timeouts(metrics.gauge("kollator_dht_query_timeouts", "Queries without an answer")),
          refused_sends(metrics.gauge("kollator_dht_refused_sends",
                                      "Datagrams not sent: to addresses that are not dialled")),
          needed(metrics.gauge("kollator_dht_packets_needed_per_second",
                               "What announcing all keys in time takes")),
          lookups(metrics.gauge("kollator_dht_lookups", "Look-ups asked for since the start")),
          unanswered(metrics.gauge("kollator_dht_lookups_unanswered",
                                   "Look-ups to which no node answered")),
          success(metrics.gauge("kollator_dht_lookup_success_ratio",
                                "Of the look-ups that ended, to how many a node answered")),
          contacts(metrics.gauge("kollator_dht_contacts", "Nodes in the routing tables")),
          good(metrics.gauge("kollator_dht_contacts_good", "Of those, answered the last ping")),
          stale(metrics.gauge("kollator_dht_contacts_stale", "Of those, did not")),
          network(metrics.gauge("kollator_dht_network_nodes", "Nodes of the network, estimated")),
          rtt(metrics.gauge("kollator_dht_rtt_seconds", "Round trip to contacts, the median")),
          rtt_p99(metrics.gauge("kollator_dht_rtt_p99_seconds", "The same, 99 % are below")),
          lost(metrics.gauge("kollator_dht_lost", "1 where no node answered for 5 minutes")),
          peers(metrics.gauge("kollator_dht_peers", "Peers that others announced to this node")) {}

    Gauge keys, due, late, oldest, announcements, failures, queries, timeouts, refused_sends,
        needed, lookups, unanswered, success, contacts, good, stale, network, rtt, rtt_p99, lost,
        peers;
};

DhtService::DhtService(const Parts& parts)
    : parts_(parts),
      dht_(parts.loop, parts.jobs, posix_file_system(), crypto::system_random(),
           dht_options(parts)),
      gauges_(std::make_unique<Gauges>(parts.metrics)) {
    for (const InfoHash& key : dht::all_shard_keys()) dht_.announce(key, dht::When::kSoon);
    watch(parts_.disk_cache, store::ObjectKind::kChunk);
    watch(parts_.metadata_cache, store::ObjectKind::kTorrent);
}

DhtService::~DhtService() {
    parts_.disk_cache.observe(nullptr);
    parts_.metadata_cache.observe(nullptr);
}

// --- what is announced ---------------------------------------------------------------------------

void DhtService::watch(cache::DiskCache& cache, store::ObjectKind kind) {
    cache.observe([this, kind](const ChunkId& id, bool there) { on_cached(kind, id, there); });
    cache.when_loaded([this, alive = std::weak_ptr<int>(alive_), &cache, kind] {
        if (!alive.expired()) add_cached(cache, kind, ChunkId());
    });
}

void DhtService::on_cached(store::ObjectKind kind, const ChunkId& id, bool there) {
    if (!there) return dht_.withdraw(to_info_hash(id));
    // New torrents first: somebody has just published them.
    add(kind, id, kind == store::ObjectKind::kTorrent ? dht::When::kUrgent : dht::When::kSoon);
}

/// What was there at the start, a page at a turn of the loop.
void DhtService::add_cached(cache::DiskCache& cache, store::ObjectKind kind, const ChunkId& after) {
    const auto entries = cache.list(after, kPageEntries);
    for (const cache::CacheEntry& entry : entries) add(kind, entry.id, dht::When::kSpread);
    if (entries.size() < kPageEntries) return;
    parts_.loop.post(
        [this, alive = std::weak_ptr<int>(alive_), &cache, kind, last = entries.back().id] {
            if (!alive.expired()) add_cached(cache, kind, last);
        });
}

/// What is denied or deleted leaves the cache, and with that the announcer; here it does not come
/// in either.
void DhtService::add(store::ObjectKind kind, const ChunkId& id, dht::When when) {
    if (parts_.chunks.hidden().contains(key_of(kind, id))) return;
    if (!dht_.announce(to_info_hash(id), when)) ++refused_keys_;
}

std::uint16_t DhtService::announce(const std::vector<ChunkId>& ids) {
    std::uint16_t accepted = 0;
    for (const ChunkId& id : ids) {
        for (const auto kind : {store::ObjectKind::kChunk, store::ObjectKind::kTorrent}) {
            const cache::DiskCache& cache =
                kind == store::ObjectKind::kChunk ? parts_.disk_cache : parts_.metadata_cache;
            if (!cache.size_of(id) || parts_.chunks.hidden().contains(key_of(kind, id))) continue;
            if (!dht_.announce(to_info_hash(id), dht::When::kUrgent)) continue;
            ++accepted;
            break;
        }
    }
    return accepted;
}

Result<std::size_t> DhtService::announce_all() {
    const TimePoint now = parts_.loop.now();
    if (last_announce_all_ != TimePoint{} && now - last_announce_all_ < kAnnounceAllPause) {
        return make_error(ErrorCode::kLimit, "everything was announced less than a minute ago");
    }
    last_announce_all_ = now;
    return dht_.announce_all_now();
}

// --- look-ups ------------------------------------------------------------------------------------

void DhtService::look_up(const ChunkId& id, OnPeers on_done) {
    dht_.find(to_info_hash(id), dht::shard_key_of(id.bytes()),
              [on_done = std::move(on_done)](Result<std::vector<dht::Endpoint>> found) {
                  if (!found) return on_done(found.error());
                  std::vector<protocol::PeerAddress> peers;
                  for (const dht::Endpoint& at : *found) {
                      peers.push_back(
                          {at.v6 ? protocol::AddressFamily::kIpv6 : protocol::AddressFamily::kIpv4,
                           at.address, at.port});
                  }
                  on_done(std::move(peers));
              });
}

http::DhtHooks DhtService::hooks() {
    http::DhtHooks hooks;
    hooks.announce = [this] { return announce_all(); };
    hooks.look_up = [this](const ChunkId& id, http::DhtHooks::OnPeers on_done) {
        dht_.find(to_info_hash(id), dht::shard_key_of(id.bytes()),
                  [on_done = std::move(on_done)](const Result<std::vector<dht::Endpoint>>& found) {
                      on_done(found ? Result<std::vector<http::DhtPeer>>(to_peers(*found))
                                    : Result<std::vector<http::DhtPeer>>(found.error()));
                  });
    };
    hooks.heard = [this](const InfoHash& key) { return to_peers(dht_.heard_peers(key)); };
    return hooks;
}

// --- how it is -----------------------------------------------------------------------------------

http::DhtStats DhtService::stats() {
    const dht::DhtReport report = dht_.report();
    http::DhtStats stats;
    stats.enabled = true;
    stats.read_only = parts_.config.dht_read_only;
    stats.ports = report.ports;
    stats.listen_error = report.listen_error;
    for (const dht::TableReport& table : report.tables) {
        stats.tables.push_back({table.v6, table.id.hex(), table.nodes, table.replacements});
    }
    const dht::NodeHealthReport& health = report.health;
    stats.contacts = health.contacts;
    stats.good = health.good;
    stats.stale = health.stale;
    stats.network_size = health.network_size;
    stats.rtt_ms = milliseconds(health.rtt_median);
    stats.rtt_p99_ms = milliseconds(health.rtt_p99);
    stats.silence_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<seconds>(health.silence).count());
    stats.lost = health.lost;
    stats.rejoins = report.rejoins;
    for (const dht::AnnouncerStats* announcer : {&report.announcer_v4, &report.announcer_v6}) {
        // Both families announce the same keys; without a network of its own, one waits for ever.
        const bool v6 = announcer == &report.announcer_v6;
        const bool joined = std::any_of(
            report.tables.begin(), report.tables.end(),
            [v6](const dht::TableReport& table) { return table.v6 == v6 && table.nodes > 0; });
        stats.announcements += announcer->announced;
        stats.announce_failures += announcer->failed;
        stats.acknowledged += announcer->acknowledged;
        stats.memory_bytes += announcer->memory_bytes;
        stats.keys = std::max(stats.keys, announcer->keys);
        if (v6 && !joined && announcer->announced == 0) continue;
        stats.packets_needed += static_cast<double>(announcer->keys) * dht::kPacketsPerKey /
                                std::chrono::duration<double>(dht::kAnnouncePeriod).count();
        stats.due = std::max(stats.due, announcer->due);
        stats.late = std::max(stats.late, announcer->late);
        stats.oldest_s = std::max(
            stats.oldest_s, static_cast<std::uint64_t>(
                                std::chrono::duration_cast<seconds>(announcer->oldest).count()));
    }
    stats.refused_keys = refused_keys_;
    stats.packets_per_second = report.packets_per_second;
    stats.queries = report.queries.sent;
    stats.answers = report.queries.answered;
    stats.timeouts = report.queries.timeouts;
    stats.dropped = report.queries.dropped;
    stats.refused_sends = report.refused_sends;
    const dht::PeerFinderStats& lookups = report.lookups;
    stats.lookups = lookups.asked;
    stats.lookups_cached = lookups.cached;
    stats.lookups_shared = lookups.shared;
    stats.lookups_refused = lookups.refused;
    stats.lookups_done = lookups.lookups;
    stats.lookups_found = lookups.found;
    stats.lookups_unanswered = lookups.unanswered;
    stats.peers = report.heard.peers;
    stats.peer_keys = report.heard.keys;
    stats.peers_announced = report.heard.announced;
    return stats;
}

http::HealthCheck DhtService::health() {
    return http::dht_health(stats());
}

void DhtService::update_metrics() {
    const http::DhtStats now = stats();
    const auto set = [](Gauge& gauge, auto value) { gauge.set(static_cast<double>(value)); };
    set(gauges_->keys, now.keys);
    set(gauges_->due, now.due);
    set(gauges_->late, now.late);
    set(gauges_->oldest, now.oldest_s);
    set(gauges_->announcements, now.announcements);
    set(gauges_->failures, now.announce_failures);
    set(gauges_->queries, now.queries);
    set(gauges_->timeouts, now.timeouts);
    set(gauges_->refused_sends, now.refused_sends);
    set(gauges_->needed, now.packets_needed);
    set(gauges_->lookups, now.lookups);
    set(gauges_->unanswered, now.lookups_unanswered);
    set(gauges_->success, now.success_rate());
    set(gauges_->contacts, now.contacts);
    set(gauges_->good, now.good);
    set(gauges_->stale, now.stale);
    set(gauges_->network, now.network_size);
    set(gauges_->rtt, now.rtt_ms / 1000);
    set(gauges_->rtt_p99, now.rtt_p99_ms / 1000);
    set(gauges_->lost, now.lost ? 1 : 0);
    set(gauges_->peers, now.peers);
}

}  // namespace kollator::app
