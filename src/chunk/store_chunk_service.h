#pragma once

#include <memory>

#include "cache/disk_cache.h"
#include "chunk/chunk_lists.h"
#include "chunk/chunk_service.h"
#include "chunk/deletions.h"
#include "chunk/fetcher.h"
#include "chunk/hidden_names.h"
#include "chunk/hint_ledger.h"
#include "chunk/options.h"
#include "chunk/prefetcher.h"
#include "chunk/repairs.h"
#include "chunk/stat_lookup.h"
#include "chunk/store_lists.h"
#include "chunk/torrent_list.h"
#include "chunk/uploader.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// The ChunkService over a disk cache and an object store. Its parts: Fetcher (one fetch for all),
/// BlobReader (a request's window), Prefetcher (what readers will ask for next), Uploader (the way
/// in), StatLookup and StoreLists (who has what), Deletions (the way out).
class StoreChunkService final : public ChunkService {
 public:
    StoreChunkService(EventLoop& loop, JobPool& jobs, const Clock& clock,
                      cache::DiskCache& disk_cache, cache::DiskCache& metadata_cache,
                      store::ObjectStore& store, const ChunkServiceOptions& options,
                      MetricsRegistry& metrics);
    ~StoreChunkService() override;

    std::unique_ptr<Reader> open(const ChunkId& id, std::uint32_t offset, std::uint32_t length,
                                 OnReady on_ready) override;
    std::unique_ptr<Reader> open_for_fellow(const ChunkId& id, std::uint32_t offset,
                                            std::uint32_t length, OnReady on_ready) override;
    std::unique_ptr<Reader> open(const MetadataId& id, std::uint32_t offset, std::uint32_t length,
                                 OnReady on_ready) override;
    void reader_at(std::uint64_t reader, const ChunkId& id) override {
        cache_.reader_at(reader, id);
        prefetcher_.reader_at(reader, id);
    }
    void reader_left(std::uint64_t reader) override {
        cache_.reader_left(reader);
        prefetcher_.reader_left(reader);
    }
    Result<std::shared_ptr<Buffer>> allocate(std::uint32_t size_bytes) override;
    void store(const ChunkId& id, SharedBuffer bytes, OnStored on_done) override;
    void store(const MetadataId& id, SharedBuffer bytes, OnStored on_done) override;
    void stat(std::vector<ChunkId> ids, OnStat on_done) override;
    std::vector<ChunkStat> stat_known(const std::vector<ChunkId>& ids) override;
    /// Fetches what was damaged in the cache anew.
    void repair(const ChunkId& id) { repairs_.repair(id); }
    ChunkPage list_cached(const ChunkId& after, std::size_t limit) override;
    void list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) override;
    std::uint32_t max_chunk_bytes() const override { return options_.max_chunk_bytes; }
    std::uint32_t max_metadata_bytes() const override { return options_.max_metadata_bytes; }

    /// See Fetcher::set_fellows().
    void set_fellows(cluster::ChunkSource* fellows) { fetcher_.set_fellows(fellows); }

    /// From now on `list` is refused on every path: what is under way with its names ends, and they
    /// go from the cache, bit by bit.
    void set_denylist(DenylistPtr list);
    const HiddenNames& hidden() const { return hidden_; }

    /// Reads which deletions wait; once, before anything else. Blocking. Errors of
    /// Deletions::load().
    Status open_deletions(FileSystem& fs, const DeletionOptions& options);
    /// Deletes from the cache at once, and from the object store as Deletions::remove() says.
    void remove(const store::ObjectKey& key, Deletions::OnRemoved on_done);
    Deletions::Stats deletion_stats() const { return deletions_->stats(); }

    /// Torrents whose metadata is cached here, or that the object store holds, with names greater
    /// than `after`: up to `limit` (1,000 at most).
    void list_cached_torrents(const MetadataId& after, std::size_t limit,
                              TorrentSummaries::OnPage on_done);
    void list_stored_torrents(const MetadataId& after, std::size_t limit,
                              std::function<void(Result<TorrentPage>)> on_done);

    /// For /stats.
    ChunkServiceStats stats() const { return tally_.stats(); }
    std::size_t fetches_under_way() const { return fetcher_.count(); }
    std::size_t prefetches_held() const { return prefetcher_.count(); }
    std::size_t fetch_budget_used_bytes() const { return fetch_budget_.used_bytes(); }
    std::size_t upload_budget_used_bytes() const { return upload_budget_.used_bytes(); }

 private:
    ChunkPage cached_page(const cache::DiskCache& cache, store::ObjectKind kind,
                          const ChunkId& after, std::size_t limit) const;
    void begin_removal(const store::ObjectKey& key, Deletions::OnRemoved on_done);
    void purge_cache(store::ObjectKind kind, ChunkId after, std::uint64_t round);

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    const Clock& clock_;
    cache::DiskCache& cache_;
    cache::DiskCache& metadata_cache_;
    store::ObjectStore& store_;
    const ChunkServiceOptions options_;

    // owned
    ByteBudget& fetch_budget_;
    ByteBudget& upload_budget_;
    Tally tally_;
    KnownStored stored_;
    KnownStored at_fellows_;
    KnownMissing missing_;
    HiddenNames hidden_;
    const std::shared_ptr<ChunkBlobs> chunks_;
    const std::shared_ptr<MetadataBlobs> metadata_;
    std::unique_ptr<Deletions> deletions_;
    Fetcher fetcher_;
    Prefetcher prefetcher_;
    Repairs repairs_;
    Uploader uploader_;
    StatLookup stat_lookup_;
    StoreLists store_lists_;
    TorrentSummaries summaries_;
    ChunkLists chunk_lists_;
    HintLedger hints_{{}};

    // state
    std::uint64_t purge_round_ = 0;
    // The last member, so that it goes first: what outlives the service finds it gone.
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

/// Everything given by reference outlives the service; readers may outlive it (they then give
/// kCancelled). `metadata_cache` keeps torrents' metadata, in a folder of its own.
std::unique_ptr<StoreChunkService> make_chunk_service(
    EventLoop& loop, JobPool& jobs, const Clock& clock, cache::DiskCache& disk_cache,
    cache::DiskCache& metadata_cache, store::ObjectStore& store, const ChunkServiceOptions& options,
    MetricsRegistry& metrics);

}  // namespace kollator::chunk
