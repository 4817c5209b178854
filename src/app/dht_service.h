#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "app/data_dir.h"
#include "base/metrics.h"
#include "cache/disk_cache.h"
#include "chunk/store_chunk_service.h"
#include "config/config.h"
#include "dht/dht.h"
#include "http/dht_endpoints.h"
#include "http/worker_documents.h"
#include "session/discovery.h"

namespace kollator::app {

/// The worker's part in the BitTorrent DHT: what is in the caches is announced, and the shard keys
/// for what the object store holds; what leaves them, or is denied, no more. Loop thread only.
class DhtService final : public session::Discovery {
 public:
    /// All outlive it.
    struct Parts {
        EventLoop& loop;
        JobPool& jobs;
        const config::Config& config;
        const DataDir& data;
        chunk::StoreChunkService& chunks;
        cache::DiskCache& disk_cache;
        cache::DiskCache& metadata_cache;
        MetricsRegistry& metrics;
        std::uint16_t announce_port = 0;
    };

    explicit DhtService(const Parts& parts);
    ~DhtService() override;

    std::uint16_t announce(const std::vector<ChunkId>& ids) override;
    void look_up(const ChunkId& id, OnPeers on_done) override;

    http::DhtHooks hooks();
    http::HealthCheck health();
    http::DhtStats stats();
    /// Before the metrics are shown.
    void update_metrics();
    /// Writes the routing table down. `on_done` runs once.
    void close(std::function<void()> on_done) { dht_.close(std::move(on_done)); }

 private:
    struct Gauges;

    void watch(cache::DiskCache& cache, store::ObjectKind kind);
    void on_cached(store::ObjectKind kind, const ChunkId& id, bool there);
    void add_cached(cache::DiskCache& cache, store::ObjectKind kind, const ChunkId& after);
    void add(store::ObjectKind kind, const ChunkId& id, dht::When when);
    Result<std::size_t> announce_all();

    const Parts parts_;
    dht::Dht dht_;
    std::unique_ptr<Gauges> gauges_;
    TimePoint last_announce_all_{};
    std::uint64_t refused_keys_ = 0;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::app
