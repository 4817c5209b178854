#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cache/disk_cache.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::chunk {

/// What a torrent's metadata says about its files.
struct TorrentSummary {
    std::string name;  ///< what a stranger wrote, cut to kMaxNameBytes; any bytes
    std::uint64_t length_bytes = 0;

    static constexpr std::size_t kMaxNameBytes = 255;
};

struct TorrentEntry {
    MetadataId id;
    std::uint64_t metadata_bytes = 0;
    std::optional<TorrentSummary> summary;  ///< where its metadata is cached here
};

struct TorrentPage {
    std::vector<TorrentEntry> entries;  ///< ascending by name
    bool more = false;
};

/// Adds to torrents what their cached metadata says. What was read is remembered: an info-hash
/// names it for good. Loop thread only.
class TorrentSummaries {
 public:
    using OnPage = std::function<void(TorrentPage)>;

    /// References outlive it.
    TorrentSummaries(EventLoop& loop, JobPool& jobs, cache::DiskCache& metadata_cache)
        : loop_(loop), jobs_(jobs), cache_(metadata_cache) {}

    /// Reads at most kMaxReads files, one after the other; what is not cached, or past that, stays
    /// without a summary. Too many pages at once: only what is remembered is told.
    void fill(TorrentPage page, OnPage on_done);

    static constexpr std::size_t kMaxReads = 100;
    static constexpr std::size_t kMaxPages = 4;
    static constexpr std::size_t kMaxRemembered = 10'000;  ///< some 300 bytes each

 private:
    struct Page {
        TorrentPage page;
        OnPage on_done;
        std::size_t next = 0;
        std::size_t reads = 0;
        std::shared_ptr<cache::CachedChunk> reading;
    };
    using PagePtr = std::shared_ptr<Page>;

    void step(const PagePtr& page);
    bool start_read(const PagePtr& page, TorrentEntry& entry);
    void on_bytes(const PagePtr& page, const Result<BufferSlice>& bytes);
    void on_summary(const PagePtr& page, const std::optional<TorrentSummary>& summary);

    EventLoop& loop_;
    JobPool& jobs_;
    cache::DiskCache& cache_;
    std::map<MetadataId, TorrentSummary> known_;
    std::size_t pages_ = 0;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
