#pragma once

#include <functional>
#include <memory>

#include "app/cache_history.h"
#include "base/metrics.h"
#include "cache/disk_cache.h"
#include "cache/scrub.h"
#include "chunk/store_chunk_service.h"
#include "config/config.h"
#include "http/worker_documents.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::app {

/// What is done and told about the chunks' cache beside serving from it: the scrub and its repairs,
/// the rates of the last hour, metrics. Loop thread only.
class CacheUpkeep {
 public:
    /// Everything referred to outlives it.
    struct Parts {
        EventLoop& loop;
        JobPool& jobs;
        const config::Config& config;
        const std::filesystem::path& folder;  ///< the cache's
        cache::DiskCache& disk_cache;
        chunk::StoreChunkService& chunks;
        MetricsRegistry& metrics;
    };

    explicit CacheUpkeep(const Parts& parts);

    void fill(http::CacheReport& report) const;
    void update_metrics();
    /// Writes down how far the scrub is.
    void close(std::function<void()> on_done) { scrubber_.close(std::move(on_done)); }

 private:
    CacheCounts counts() const;
    void sample();

    cache::DiskCache& cache_;
    chunk::StoreChunkService& chunks_;
    CacheHistory history_;
    cache::Scrubber scrubber_;
    Timer sample_timer_;

    Gauge size_bytes_, chunks_now_, bypassed_, scrub_share_;
    Counter insertions_, rejections_, evictions_, corruptions_, scrubbed_, scrub_damaged_;
};

}  // namespace kollator::app
