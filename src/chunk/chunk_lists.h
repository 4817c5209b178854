#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/ids.h"
#include "base/result.h"
#include "cache/disk_cache.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::chunk {

/// Tells the chunks' cache of the files that torrents' metadata describes, so that it can look
/// ahead. Loop thread only.
class ChunkLists {
 public:
    /// References outlive it.
    ChunkLists(EventLoop& loop, JobPool& jobs, cache::DiskCache& metadata_cache,
               cache::DiskCache& chunk_cache)
        : loop_(loop), jobs_(jobs), metadata_cache_(metadata_cache), chunk_cache_(chunk_cache) {}

    /// Somebody asks for this metadata, or it was just kept. Does nothing where it was told before,
    /// is not cached, or too many are read already: then the cache knows less.
    void learn(const MetadataId& id);

    static constexpr std::size_t kMaxReads = 8;
    static constexpr std::size_t kMaxRemembered = 10'000;

 private:
    void on_bytes(const MetadataId& id, const Result<BufferSlice>& bytes);

    EventLoop& loop_;
    JobPool& jobs_;
    cache::DiskCache& metadata_cache_;
    cache::DiskCache& chunk_cache_;
    std::set<MetadataId> told_;
    std::map<MetadataId, std::shared_ptr<cache::CachedChunk>> reading_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
