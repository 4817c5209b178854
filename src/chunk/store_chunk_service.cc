#include "chunk/store_chunk_service.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "chunk/blob_reader.h"

namespace kollator::chunk {
namespace {

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
                                     cache::DiskCache& disk_cache, store::ObjectStore& store,
                                     const ChunkServiceOptions& options, MetricsRegistry& metrics)
    : loop_(loop),
      cache_(disk_cache),
      store_(store),
      options_(options),
      fetch_budget_(lasting_budget(options.fetch_budget_bytes)),
      upload_budget_(lasting_budget(options.upload_budget_bytes)),
      tally_(metrics),
      stored_(options.max_known_stored),
      missing_(options.max_known_missing, options.missing_ttl),
      chunks_(std::make_shared<ChunkBlobs>(disk_cache, options.max_chunk_bytes)),
      metadata_(std::make_shared<MetadataBlobs>(loop, options.max_metadata_bytes,
                                                options.metadata_memory_bytes)),
      fetcher_(loop, jobs, clock, store, fetch_budget_, stored_, missing_, tally_, options_),
      uploader_(loop, jobs, store, fetcher_, stored_, missing_, tally_, options_),
      stat_lookup_(loop, clock, disk_cache, store, stored_, missing_, options_) {}

StoreChunkService::~StoreChunkService() = default;

std::unique_ptr<Reader> StoreChunkService::open(const ChunkId& id, std::uint32_t offset,
                                                std::uint32_t length, OnReady on_ready) {
    return std::make_unique<BlobReader>(loop_, fetcher_, alive_, tally_, chunks_,
                                        store::ObjectKey(id), BlobReader::Range{offset, length},
                                        std::move(on_ready));
}

std::unique_ptr<Reader> StoreChunkService::open(const MetadataId& id, std::uint32_t offset,
                                                std::uint32_t length, OnReady on_ready) {
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

ChunkPage StoreChunkService::list_cached(const ChunkId& after, std::size_t limit) {
    std::map<ChunkId, std::uint32_t> found;
    for (const cache::CacheEntry& entry : cache_.list(after, limit + 1)) {
        found.emplace(entry.id, entry.size_bytes);
    }
    // What is pending is on this disk too, whether or not the cache has dropped its copy.
    for (const store::ListEntry& entry :
         store_.list_pending(store::ObjectKind::kChunk, after.bytes(), limit + 1)) {
        found.emplace(ChunkId(entry.hash), static_cast<std::uint32_t>(entry.size_bytes));
    }
    ChunkPage page;
    for (const auto& [id, size_bytes] : found) {
        page.more = page.entries.size() == limit;
        if (page.more) break;
        page.entries.push_back({id, size_bytes});
    }
    return page;
}

void StoreChunkService::list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    if (lists_.size() >= options_.max_lists) {
        loop_.post([alive = std::weak_ptr(alive_), on_done = std::move(on_done)] {
            if (alive.expired()) return;
            on_done(make_error(ErrorCode::kLimit, "too many listings are under way"));
        });
        return;
    }
    const std::uint64_t ticket = next_ticket_++;
    const std::size_t bounded = std::clamp<std::size_t>(limit, 1, 1000);  // ObjectStore::list()
    lists_[ticket] = store_.list(
        store::ObjectKind::kChunk, after.bytes(), bounded,
        [this, ticket, on_done = std::move(on_done)](const Result<store::ListPage>& listed) {
            on_listed(ticket, on_done, listed);
        });
}

void StoreChunkService::on_listed(std::uint64_t ticket, const OnPage& on_done,
                                  const Result<store::ListPage>& listed) {
    dispose(loop_, std::move(lists_.at(ticket)));
    lists_.erase(ticket);
    if (!listed) {
        on_done(as_seen_by_requester(listed.error()));
        return;
    }
    ChunkPage page;
    page.more = listed->more;
    for (const store::ListEntry& entry : listed->entries) {
        // Larger than any chunk: not one of ours, whatever its name.
        if (entry.size_bytes == 0 || entry.size_bytes > UINT32_MAX) continue;
        const ChunkId id(entry.hash);
        stored_.note(store::ObjectKey(id), entry.size_bytes);
        page.entries.push_back({id, static_cast<std::uint32_t>(entry.size_bytes)});
    }
    on_done(std::move(page));
}

std::unique_ptr<StoreChunkService> make_chunk_service(
    EventLoop& loop, JobPool& jobs, const Clock& clock, cache::DiskCache& disk_cache,
    store::ObjectStore& store, const ChunkServiceOptions& options, MetricsRegistry& metrics) {
    return std::make_unique<StoreChunkService>(loop, jobs, clock, disk_cache, store, options,
                                               metrics);
}

}  // namespace kollator::chunk
