#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "cache/disk_cache.h"
#include "chunk/fetcher.h"
#include "chunk/options.h"
#include "chunk/prefetch_plan.h"
#include "loop/event_loop.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// Fetches from the object store what readers who go through a file in order will ask for next, and
/// holds it in memory until they do; then the request joins the fetch, and the cache is asked to
/// keep the chunk as after any other fetch. Only with spare slots and spare memory, and not while
/// the store's circuit is not closed or its egress is limited; gives way to requests. Loop thread
/// only.
class Prefetcher final : private GivesWay {
 public:
    /// All references outlive it.
    Prefetcher(EventLoop& loop, const Clock& clock, Fetcher& fetcher, store::ObjectStore& store,
               cache::DiskCache& disk_cache, std::shared_ptr<BlobKind> kind, Tally& tally,
               const ChunkServiceOptions& options);
    ~Prefetcher() override;
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;

    void learn_file(const std::vector<ChunkId>& chunks, std::uint32_t chunk_bytes) {
        plan_.learn(chunks, chunk_bytes);
    }
    void reader_at(std::uint64_t reader, const ChunkId& id);
    void reader_left(std::uint64_t reader);
    /// A request for this chunk has been opened, and has joined its fetch where there was one.
    void opened(const ChunkId& id);

    /// On their way, or waiting for their readers.
    std::size_t count() const { return aheads_.size(); }
    std::uint64_t bytes() const;

    /// So many at once, however small they are.
    static constexpr std::size_t kMaxAhead = 256;

 private:
    class Ahead;

    bool give_way() override;
    void request_began() override;

    void look_soon();
    void look();
    void settle();
    void start_all();
    bool start(const PrefetchPlan::Wish& wish);
    bool lacks(const ChunkId& id) const;
    std::size_t spare_slots() const;
    std::size_t in_flight() const;
    void drop_unwanted();
    void drop(const ChunkId& id);
    bool drop_newest(bool in_flight_only);

    // injected
    EventLoop& loop_;
    const Clock& clock_;
    Fetcher& fetcher_;
    store::ObjectStore& store_;
    cache::DiskCache& cache_;
    const std::shared_ptr<BlobKind> kind_;
    Tally& tally_;
    const ChunkServiceOptions& options_;

    // owned
    PrefetchPlan plan_;
    Timer tidy_timer_;

    // state
    std::map<ChunkId, std::unique_ptr<Ahead>> aheads_;
    bool looking_ = false;  // posted
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
