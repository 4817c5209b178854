#pragma once

#include <map>
#include <memory>

#include "cache/disk_cache.h"
#include "chunk/chunk_service.h"
#include "chunk/fetcher.h"
#include "chunk/options.h"
#include "chunk/stat_lookup.h"
#include "chunk/uploader.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// The ChunkService over a disk cache and an object store. Its parts: Fetcher (one fetch for all),
/// BlobReader (a request's window), Uploader (the way in), StatLookup (who has what).
class StoreChunkService final : public ChunkService {
 public:
    StoreChunkService(EventLoop& loop, JobPool& jobs, const Clock& clock,
                      cache::DiskCache& disk_cache, store::ObjectStore& store,
                      const ChunkServiceOptions& options, MetricsRegistry& metrics);
    ~StoreChunkService() override;

    std::unique_ptr<Reader> open(const ChunkId& id, std::uint32_t offset, std::uint32_t length,
                                 OnReady on_ready) override;
    std::unique_ptr<Reader> open(const MetadataId& id, std::uint32_t offset, std::uint32_t length,
                                 OnReady on_ready) override;
    Result<std::shared_ptr<Buffer>> allocate(std::uint32_t size_bytes) override;
    void store(const ChunkId& id, SharedBuffer bytes, OnStored on_done) override;
    void store(const MetadataId& id, SharedBuffer bytes, OnStored on_done) override;
    void stat(std::vector<ChunkId> ids, OnStat on_done) override;
    ChunkPage list_cached(const ChunkId& after, std::size_t limit) override;
    void list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) override;
    std::uint32_t max_chunk_bytes() const override { return options_.max_chunk_bytes; }
    std::uint32_t max_metadata_bytes() const override { return options_.max_metadata_bytes; }

    /// For /stats.
    ChunkServiceStats stats() const { return tally_.stats(); }
    std::size_t fetches_under_way() const { return fetcher_.count(); }
    std::size_t fetch_budget_used_bytes() const { return fetch_budget_.used_bytes(); }
    std::size_t upload_budget_used_bytes() const { return upload_budget_.used_bytes(); }

 private:
    void on_listed(std::uint64_t ticket, const OnPage& on_done,
                   const Result<store::ListPage>& listed);

    // injected
    EventLoop& loop_;
    cache::DiskCache& cache_;
    store::ObjectStore& store_;
    const ChunkServiceOptions options_;

    // owned
    ByteBudget& fetch_budget_;
    ByteBudget& upload_budget_;
    Tally tally_;
    KnownStored stored_;
    KnownMissing missing_;
    const std::shared_ptr<ChunkBlobs> chunks_;
    const std::shared_ptr<MetadataBlobs> metadata_;
    Fetcher fetcher_;
    Uploader uploader_;
    StatLookup stat_lookup_;

    // state
    std::map<std::uint64_t, store::TransferHandle> lists_;
    std::uint64_t next_ticket_ = 0;
    // The last member, so that it goes first: what outlives the service finds it gone.
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

/// Everything given by reference outlives the service; readers may outlive it (they then give
/// kCancelled).
std::unique_ptr<StoreChunkService> make_chunk_service(
    EventLoop& loop, JobPool& jobs, const Clock& clock, cache::DiskCache& disk_cache,
    store::ObjectStore& store, const ChunkServiceOptions& options, MetricsRegistry& metrics);

}  // namespace kollator::chunk
