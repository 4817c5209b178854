#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "cache/disk_cache.h"
#include "chunk/chunk_service.h"
#include "chunk/hidden_names.h"
#include "chunk/known_names.h"
#include "chunk/options.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// Where chunks are: what is known here at once, and the object store asked about the rest, a few
/// names at a time, taking turns between those who ask. Loop thread only; destroying it cancels
/// all.
class StatLookup {
 public:
    /// All references outlive it.
    StatLookup(EventLoop& loop, const Clock& clock, cache::DiskCache& disk_cache,
               store::ObjectStore& store, KnownStored& stored, KnownStored& at_fellows,
               KnownMissing& missing, const HiddenNames& hidden,
               const ChunkServiceOptions& options);

    void stat(std::vector<ChunkId> ids, ChunkService::OnStat on_done);
    std::vector<ChunkStat> known(const std::vector<ChunkId>& ids);

 private:
    struct Query {
        std::vector<ChunkId> ids;
        std::vector<ChunkStat> answers;
        ChunkService::OnStat on_done;
        std::size_t next = 0;      // the first id that has not been looked at for the store
        std::size_t open_ids = 0;  // neither answered nor given up
        std::map<std::size_t, store::TransferHandle> transfers;  // by index
        std::unique_ptr<Timer> deadline;
    };
    using QueryPtr = std::shared_ptr<Query>;

    std::optional<ChunkStat> known_here(const ChunkId& id);
    void pump();
    bool ask_next(const QueryPtr& query);
    void on_answer(const QueryPtr& query, std::size_t index, std::uint64_t generation,
                   const Result<std::uint64_t>& size);
    void finish(const QueryPtr& query);

    EventLoop& loop_;
    const Clock& clock_;
    cache::DiskCache& cache_;
    store::ObjectStore& store_;
    KnownStored& stored_;
    KnownStored& at_fellows_;
    KnownMissing& missing_;
    const HiddenNames& hidden_;
    const ChunkServiceOptions& options_;

    std::deque<QueryPtr> queries_;  // whose turn it is: the first
    std::size_t asked_ = 0;         // transfers under way, of all queries
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
