#pragma once

#include <memory>
#include <optional>

#include "app/data_dir.h"
#include "base/metrics.h"
#include "base/result.h"
#include "chunk/denylist_file.h"
#include "chunk/expiry_sweep.h"
#include "chunk/store_chunk_service.h"
#include "chunk/store_purge.h"
#include "config/config.h"
#include "http/object_endpoints.h"
#include "http/worker_documents.h"
#include "loop/signal_watch.h"
#include "store/journal/journaled_store.h"

namespace kollator::app {

/// What is taken away from a worker, and how: the denylist, deletions, the expiry policy. Loop
/// thread only.
class Takedown {
 public:
    /// All outlive it.
    struct Parts {
        EventLoop& loop;
        JobPool& jobs;
        const config::Config& config;
        const DataDir& data;
        store::ObjectStore& store;
        store::JournaledStore* journal;  ///< null where there is none
        chunk::StoreChunkService& chunks;
        MetricsRegistry& metrics;
    };

    /// Reads what lasts (blocking: before the loop runs). kInvalid: the denylist cannot be read,
    /// and a worker that was given one does not serve without it; or the deletions that wait.
    static Result<std::unique_ptr<Takedown>> start(const Parts& parts);

    /// The lists and deletions for the HTTP endpoints.
    http::ObjectHooks hooks();

    /// Empty where no denylist is set.
    std::optional<http::HealthCheck> health() const;
    void add_to(http::WorkerStats& stats) const;
    /// Before the metrics are shown.
    void update_metrics();

 private:
    explicit Takedown(const Parts& parts);
    Status open_deletions();
    Status open_denylist();
    /// What waits in the journal and is denied now is not sent.
    void withhold(const chunk::DenylistPtr& list);
    chunk::ExpirySweep::Remove remover();

    const Parts parts_;
    Gauge denylist_hashes_;
    Gauge deletions_waiting_;
    Gauge deletions_;
    std::unique_ptr<chunk::StorePurge> purge_;
    std::unique_ptr<chunk::DenylistFile> denylist_;
    std::unique_ptr<SignalWatch> hang_up_;
    std::unique_ptr<chunk::ExpirySweep> expiry_;
};

}  // namespace kollator::app
