#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cache/disk_cache.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::chunk {

/// Tells of the files that torrents' metadata describes, to those who look ahead. Loop thread only.
class ChunkLists {
 public:
    /// A file's chunks, in order, and the size of each but the last.
    using OnFile =
        std::function<void(const std::vector<ChunkId>& chunks, std::uint32_t chunk_bytes)>;

    /// References outlive it.
    ChunkLists(EventLoop& loop, JobPool& jobs, cache::DiskCache& metadata_cache, OnFile on_file)
        : loop_(loop), jobs_(jobs), metadata_cache_(metadata_cache), on_file_(std::move(on_file)) {}

    /// Somebody asks for this metadata, or it was just kept. Does nothing where it was told before,
    /// is not cached, or too many are read already: then less is known.
    void learn(const MetadataId& id);

    static constexpr std::size_t kMaxReads = 8;
    static constexpr std::size_t kMaxRemembered = 10'000;

 private:
    void on_bytes(const MetadataId& id, const Result<BufferSlice>& bytes);

    EventLoop& loop_;
    JobPool& jobs_;
    cache::DiskCache& metadata_cache_;
    const OnFile on_file_;
    std::set<MetadataId> told_;
    std::map<MetadataId, std::shared_ptr<cache::CachedChunk>> reading_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
