#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/cache_upkeep.h"
#include "app/front_link.h"
#include "app/store_probe.h"
#include "app/takedown.h"
#include "base/time.h"
#include "cache/disk_cache.h"
#include "cluster/fellows.h"
#include "http/worker_documents.h"
#include "rtc/peer_hub.h"
#include "session/context.h"
#include "store/journal/journaled_store.h"
#include "store/object_store.h"

namespace kollator::app {

/// What /health and /stats are made from. Refers to the worker's parts.
struct ReportSources {
    const std::string& worker_id;
    const std::string& version;
    TimePoint started;
    const cache::DiskCache& disk_cache;
    const CacheUpkeep& cache_upkeep;
    const store::ObjectStore& store;
    const StoreProbe& probe;
    const Takedown& takedown;
    const rtc::PeerHub& hub;
    const session::SessionStats& sessions;
    const std::vector<std::unique_ptr<FrontLink>>& fronts;
    const store::JournaledStore* journal;  ///< null where nothing is or was journaled
    const cluster::Fellows* fellows;       ///< null where none is looked for
};

/// Of clients: without the links of fellow workers. Ours to them have a socket of their own.
struct ClientConnections {
    std::uint64_t active = 0;
    std::uint64_t total = 0;
};
ClientConnections client_connections(const ReportSources& sources);

http::HealthReport make_health(const ReportSources& sources, TimePoint now);
/// As of the hub's last refresh().
http::WorkerStats make_stats(const ReportSources& sources, TimePoint now);

}  // namespace kollator::app
