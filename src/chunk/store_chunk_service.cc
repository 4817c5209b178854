#include "chunk/store_chunk_service.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "chunk/blob_reader.h"

namespace kollator::chunk {
namespace {

/// Looked up in the denylist in one turn of the loop: about a millisecond for a million names.
constexpr std::size_t kPurgePageEntries = 1000;

store::ObjectKey key_of(store::ObjectKind kind, const ChunkId& id) {
    store::ObjectKey key(id);
    key.kind = kind;
    return key;
}

/// A budget outlives its leases, and those may end in a slice that a connection still sends or a
/// write that a job still does. Two budgets a service, for the rest of the process.
ByteBudget& lasting_budget(std::size_t limit_bytes) {
    static std::mutex mutex;  // services of several shards may start at once
    static std::vector<std::unique_ptr<ByteBudget>>& budgets =
        *new std::vector<std::unique_ptr<ByteBudget>>();
    const std::lock_guard lock(mutex);
    budgets.push_back(std::make_unique<ByteBudget>(limit_bytes));
    return *budgets.back();
}

}  // namespace

StoreChunkService::StoreChunkService(EventLoop& loop, JobPool& jobs, const Clock& clock,
                                     cache::DiskCache& disk_cache, cache::DiskCache& metadata_cache,
                                     store::ObjectStore& store, const ChunkServiceOptions& options,
                                     MetricsRegistry& metrics)
    : loop_(loop),
      jobs_(jobs),
      clock_(clock),
      cache_(disk_cache),
      metadata_cache_(metadata_cache),
      store_(store),
      options_(options),
      fetch_budget_(lasting_budget(options.fetch_budget_bytes)),
      upload_budget_(lasting_budget(options.upload_budget_bytes)),
      tally_(metrics),
      stored_(clock, options.max_known_stored),
      at_fellows_(clock, options.max_known_at_fellows),
      missing_(options.max_known_missing, options.missing_ttl),
      chunks_(std::make_shared<ChunkBlobs>(disk_cache, options.max_chunk_bytes)),
      metadata_(std::make_shared<MetadataBlobs>(
          metadata_cache, options.max_metadata_bytes,
          [this](const MetadataId& id) { chunk_lists_.learn(id); })),
      deletions_(std::make_unique<Deletions>(loop, jobs, clock, posix_file_system(), store, hidden_,
                                             DeletionOptions())),
      fetcher_(loop, jobs, clock, store, fetch_budget_, stored_, at_fellows_, missing_, hidden_,
               tally_, options_),
      prefetcher_(loop, clock, fetcher_, store, disk_cache, chunks_, tally_, options_),
      repairs_(loop, fetcher_, chunks_, tally_),
      uploader_(loop, jobs, store, fetcher_, stored_, missing_, hidden_, tally_, options_,
                [this](const store::ObjectKey& key, Deletions::OnFree go_on) {
                    deletions_->before_store(key, std::move(go_on));
                }),
      stat_lookup_(loop, clock, disk_cache, store, stored_, at_fellows_, missing_, hidden_,
                   options_),
      store_lists_(loop, store, stored_, hidden_, options_),
      summaries_(loop, jobs, metadata_cache),
      chunk_lists_(loop, jobs, metadata_cache,
                   [this](const std::vector<ChunkId>& chunks, std::uint32_t chunk_bytes) {
                       cache_.learn_file(chunks);
                       prefetcher_.learn_file(chunks, chunk_bytes);
                   }) {}

StoreChunkService::~StoreChunkService() = default;

std::unique_ptr<Reader> StoreChunkService::open(const ChunkId& id, std::uint32_t offset,
                                                std::uint32_t length, OnReady on_ready) {
    const std::uint64_t hits = tally_.hits.value();
    auto reader =
        std::make_unique<BlobReader>(loop_, fetcher_, alive_, tally_, chunks_, store::ObjectKey(id),
                                     BlobReader::Range{offset, length}, std::move(on_ready));
    prefetcher_.opened(id);
    if (hints_.take(id, clock_.now())) {
        tally_.hinted_requests.add();
        tally_.hinted_hits.add(tally_.hits.value() - hits);
    }
    return reader;
}

std::unique_ptr<Reader> StoreChunkService::open_for_fellow(const ChunkId& id, std::uint32_t offset,
                                                           std::uint32_t length, OnReady on_ready) {
    return std::make_unique<BlobReader>(
        loop_, fetcher_, alive_, tally_, chunks_, store::ObjectKey(id),
        BlobReader::Range{offset, length, true}, std::move(on_ready));
}

std::unique_ptr<Reader> StoreChunkService::open(const MetadataId& id, std::uint32_t offset,
                                                std::uint32_t length, OnReady on_ready) {
    chunk_lists_.learn(id);
    return std::make_unique<BlobReader>(loop_, fetcher_, alive_, tally_, metadata_,
                                        store::ObjectKey(id), BlobReader::Range{offset, length},
                                        std::move(on_ready));
}

Result<std::shared_ptr<Buffer>> StoreChunkService::allocate(std::uint32_t size_bytes) {
    const std::uint32_t max_bytes = std::max(options_.max_chunk_bytes, options_.max_metadata_bytes);
    if (size_bytes == 0 || size_bytes > max_bytes) {
        return make_error(ErrorCode::kInvalid, std::to_string(size_bytes) + " bytes; 1 to " +
                                                   std::to_string(max_bytes) + " are allowed");
    }
    auto lease = upload_budget_.try_acquire(size_bytes);
    if (!lease) return make_error(ErrorCode::kLimit, "the memory for uploads is used up");
    return std::make_shared<Buffer>(size_bytes, std::move(lease));
}

void StoreChunkService::store(const ChunkId& id, SharedBuffer bytes, OnStored on_done) {
    uploader_.store(store::ObjectKey(id), chunks_, std::move(bytes), std::move(on_done));
}

void StoreChunkService::store(const MetadataId& id, SharedBuffer bytes, OnStored on_done) {
    uploader_.store(store::ObjectKey(id), metadata_, std::move(bytes), std::move(on_done));
}

void StoreChunkService::stat(std::vector<ChunkId> ids, OnStat on_done) {
    stat_lookup_.stat(std::move(ids), std::move(on_done));
}

std::vector<ChunkStat> StoreChunkService::stat_known(const std::vector<ChunkId>& ids) {
    auto stats = stat_lookup_.known(ids);
    std::uint64_t resident = 0;
    for (std::size_t n = 0; n < ids.size(); ++n) {
        if (stats[n].residency != Residency::kCachedHere) continue;
        ++resident;
        hints_.told(ids[n], clock_.now());
    }
    tally_.hint_names.add(ids.size());
    tally_.hint_resident.add(resident);
    return stats;
}

// --- lists -------------------------------------------------------------------------------------

/// What is pending is on this disk too, whether or not the cache has dropped its copy.
ChunkPage StoreChunkService::cached_page(const cache::DiskCache& cache, store::ObjectKind kind,
                                         const ChunkId& after, std::size_t limit) const {
    ChunkPage page;
    ChunkId from = after;
    while (true) {
        std::map<ChunkId, std::uint32_t> found;
        std::optional<ChunkId> horizon;  // one of the two lists goes no further
        const auto note_end = [&](std::size_t count, const ChunkId& last) {
            if (count > limit && (!horizon || last < *horizon)) horizon = last;
        };
        const auto cached = cache.list(from, limit + 1);
        for (const cache::CacheEntry& entry : cached) found.emplace(entry.id, entry.size_bytes);
        if (!cached.empty()) note_end(cached.size(), cached.back().id);
        const auto pending = store_.list_pending(kind, from.bytes(), limit + 1);
        for (const store::ListEntry& entry : pending) {
            found.emplace(ChunkId(entry.hash), static_cast<std::uint32_t>(entry.size_bytes));
        }
        if (!pending.empty()) note_end(pending.size(), ChunkId(pending.back().hash));
        for (const auto& [id, size_bytes] : found) {
            if ((horizon && id > *horizon) || hidden_.contains(key_of(kind, id))) continue;
            page.more = page.entries.size() == limit;
            if (page.more) return page;
            page.entries.push_back({id, size_bytes});
        }
        if (!horizon) return page;
        from = *horizon;
    }
}

ChunkPage StoreChunkService::list_cached(const ChunkId& after, std::size_t limit) {
    return cached_page(cache_, store::ObjectKind::kChunk, after, limit);
}

void StoreChunkService::list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) {
    store_lists_.list(
        store::ObjectKind::kChunk, after.bytes(), limit,
        [on_done = std::move(on_done)](const Result<store::ListPage>& listed) {
            if (!listed) return on_done(listed.error());
            ChunkPage page;
            page.more = listed->more;
            for (const store::ListEntry& entry : listed->entries) {
                page.entries.push_back(
                    {ChunkId(entry.hash), static_cast<std::uint32_t>(entry.size_bytes)});
            }
            on_done(std::move(page));
        });
}

void StoreChunkService::list_cached_torrents(const MetadataId& after, std::size_t limit,
                                             TorrentSummaries::OnPage on_done) {
    const std::size_t bounded = std::clamp<std::size_t>(limit, 1, store::kMaxListEntries);
    const ChunkPage cached =
        cached_page(metadata_cache_, store::ObjectKind::kTorrent, ChunkId(after.bytes()), bounded);
    TorrentPage page;
    page.more = cached.more;
    for (const ChunkEntry& entry : cached.entries) {
        page.entries.push_back({MetadataId(entry.id.bytes()), entry.size_bytes, std::nullopt});
    }
    summaries_.fill(std::move(page), std::move(on_done));
}

void StoreChunkService::list_stored_torrents(const MetadataId& after, std::size_t limit,
                                             std::function<void(Result<TorrentPage>)> on_done) {
    store_lists_.list(
        store::ObjectKind::kTorrent, after.bytes(), limit,
        [this, on_done = std::move(on_done)](const Result<store::ListPage>& listed) {
            if (!listed) return on_done(listed.error());
            TorrentPage page;
            page.more = listed->more;
            for (const store::ListEntry& entry : listed->entries) {
                page.entries.push_back({MetadataId(entry.hash), entry.size_bytes, std::nullopt});
            }
            summaries_.fill(std::move(page),
                            [on_done](TorrentPage filled) { on_done(std::move(filled)); });
        });
}

// --- what is taken away ------------------------------------------------------------------------

Status StoreChunkService::open_deletions(FileSystem& fs, const DeletionOptions& options) {
    deletions_ = std::make_unique<Deletions>(loop_, jobs_, clock_, fs, store_, hidden_, options);
    return deletions_->load();
}

void StoreChunkService::remove(const store::ObjectKey& key, Deletions::OnRemoved on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    // An upload that ended after the deletion would bring it back.
    uploader_.when_idle(key,
                        [this, key, on_done = std::move(on_done)] { begin_removal(key, on_done); });
}

void StoreChunkService::begin_removal(const store::ObjectKey& key, Deletions::OnRemoved on_done) {
    deletions_->remove(key, std::move(on_done));  // hides it
    stored_.forget(key);
    at_fellows_.forget(key);
    fetcher_.end_hidden();
    if (key.kind == store::ObjectKind::kChunk) {
        chunks_->drop(key);
    } else {
        metadata_->drop(key);
    }
}

void StoreChunkService::set_denylist(DenylistPtr list) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    hidden_.set_denylist(std::move(list));
    fetcher_.end_hidden();
    uploader_.end_denied();
    ++purge_round_;
    for (const auto kind : {store::ObjectKind::kChunk, store::ObjectKind::kTorrent}) {
        purge_cache(kind, ChunkId(), purge_round_);
        cache::DiskCache& cache = kind == store::ObjectKind::kChunk ? cache_ : metadata_cache_;
        if (!cache.stats().loading) continue;
        cache.when_loaded([this, alive = std::weak_ptr(alive_), kind, round = purge_round_] {
            if (!alive.expired()) purge_cache(kind, ChunkId(), round);
        });
    }
}

/// A page at a turn of the loop; a later list begins anew.
void StoreChunkService::purge_cache(store::ObjectKind kind, ChunkId after, std::uint64_t round) {
    if (round != purge_round_) return;
    cache::DiskCache& cache = kind == store::ObjectKind::kChunk ? cache_ : metadata_cache_;
    const auto entries = cache.list(after, kPurgePageEntries);
    for (const cache::CacheEntry& entry : entries) {
        if (!hidden_.denied(key_of(kind, entry.id))) continue;
        cache.remove(entry.id);
        tally_.purged.add();
    }
    if (entries.size() < kPurgePageEntries) return;
    loop_.post([this, alive = std::weak_ptr(alive_), kind, last = entries.back().id, round] {
        if (!alive.expired()) purge_cache(kind, last, round);
    });
}

std::unique_ptr<StoreChunkService> make_chunk_service(
    EventLoop& loop, JobPool& jobs, const Clock& clock, cache::DiskCache& disk_cache,
    cache::DiskCache& metadata_cache, store::ObjectStore& store, const ChunkServiceOptions& options,
    MetricsRegistry& metrics) {
    return std::make_unique<StoreChunkService>(loop, jobs, clock, disk_cache, metadata_cache, store,
                                               options, metrics);
}

}  // namespace kollator::chunk
