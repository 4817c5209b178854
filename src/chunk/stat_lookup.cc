#include "chunk/stat_lookup.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {
namespace {

ChunkStat stored_stat(std::uint64_t size_bytes) {
    // No chunk is that large: whatever it is, it cannot be asked for.
    if (size_bytes > std::numeric_limits<std::uint32_t>::max()) return {};
    return {static_cast<std::uint32_t>(size_bytes), Residency::kObjectStore};
}

}  // namespace

StatLookup::StatLookup(EventLoop& loop, const Clock& clock, cache::DiskCache& disk_cache,
                       store::ObjectStore& store, KnownStored& stored, KnownStored& at_fellows,
                       KnownMissing& missing, const HiddenNames& hidden,
                       const ChunkServiceOptions& options)
    : loop_(loop),
      clock_(clock),
      cache_(disk_cache),
      store_(store),
      stored_(stored),
      at_fellows_(at_fellows),
      missing_(missing),
      hidden_(hidden),
      options_(options) {}

std::optional<ChunkStat> StatLookup::known_here(const ChunkId& id) {
    const store::ObjectKey key(id);
    if (hidden_.contains(key)) return ChunkStat{0, Residency::kNotStored};
    if (const auto size = cache_.size_of(id)) return ChunkStat{*size, Residency::kCachedHere};
    if (const auto size = store_.pending_size(key)) {
        return ChunkStat{static_cast<std::uint32_t>(*size), Residency::kCachedHere};
    }
    if (const auto size = at_fellows_.find(key, options_.at_fellow_ttl)) {
        return ChunkStat{static_cast<std::uint32_t>(*size), Residency::kFellow};
    }
    if (const auto size = stored_.find(key, options_.stored_ttl)) return stored_stat(*size);
    if (missing_.contains(key, clock_.now())) return ChunkStat{0, Residency::kNotStored};
    return std::nullopt;
}

void StatLookup::stat(std::vector<ChunkId> ids, ChunkService::OnStat on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    const auto query = std::make_shared<Query>();
    query->ids = std::move(ids);
    query->answers.resize(query->ids.size());
    query->on_done = std::move(on_done);
    for (std::size_t i = 0; i < query->ids.size(); ++i) {
        if (const auto known = known_here(query->ids[i])) {
            query->answers[i] = *known;
        } else {
            ++query->open_ids;
        }
    }
    if (query->open_ids == 0 || queries_.size() >= options_.max_stat_queries) {
        // Too many ask: what is not known here stays unknown.
        loop_.post([alive = std::weak_ptr(alive_), query] {
            if (!alive.expired()) query->on_done(std::move(query->answers));
        });
        return;
    }
    queries_.push_back(query);
    query->deadline = std::make_unique<Timer>(loop_);
    query->deadline->start_after(options_.stat_timeout, [this, weak = std::weak_ptr(query)] {
        if (const auto late = weak.lock()) finish(late);
    });
    pump();
}

std::vector<ChunkStat> StatLookup::known(const std::vector<ChunkId>& ids) {
    std::vector<ChunkStat> stats;
    stats.reserve(ids.size());
    for (const ChunkId& id : ids) stats.push_back(known_here(id).value_or(ChunkStat()));
    return stats;
}

/// Each query in its turn asks about one name, until the limit of them all is reached.
void StatLookup::pump() {
    std::size_t idle = 0;
    while (asked_ < options_.stat_parallel && idle < queries_.size()) {
        const QueryPtr query = queries_.front();
        queries_.pop_front();
        queries_.push_back(query);
        idle = ask_next(query) ? 0 : idle + 1;
    }
}

/// False where the query has nothing left to ask.
bool StatLookup::ask_next(const QueryPtr& query) {
    for (; query->next < query->ids.size(); ++query->next) {
        const std::size_t index = query->next;
        if (query->answers[index].residency != Residency::kUnknown) continue;
        ++query->next;
        ++asked_;
        const std::weak_ptr weak(query);
        query->transfers[index] =
            store_.stat(store::ObjectKey(query->ids[index]),
                        [this, weak, index,
                         generation = hidden_.generation()](const Result<std::uint64_t>& size) {
                            if (const auto locked = weak.lock()) {
                                on_answer(locked, index, generation, size);
                            }
                        });
        return true;
    }
    return false;
}

void StatLookup::on_answer(const QueryPtr& query, std::size_t index, std::uint64_t generation,
                           const Result<std::uint64_t>& size) {
    --asked_;
    dispose(loop_, std::move(query->transfers.at(index)));
    query->transfers.erase(index);
    const store::ObjectKey key(query->ids[index]);
    if (hidden_.contains(key)) {
        query->answers[index] = {0, Residency::kNotStored};
    } else if (size) {
        // It may have been deleted since the store was asked.
        if (generation == hidden_.generation()) stored_.note(key, *size);
        missing_.forget(key);
        query->answers[index] = stored_stat(*size);
    } else if (size.error().code == ErrorCode::kNotFound) {
        stored_.forget(key);
        missing_.note(key, clock_.now());
        query->answers[index] = {0, Residency::kNotStored};
    }
    if (--query->open_ids == 0) {
        finish(query);
    } else {
        pump();
    }
}

void StatLookup::finish(const QueryPtr& query) {
    std::erase(queries_, query);
    asked_ -= query->transfers.size();
    query->transfers.clear();
    query->deadline->cancel();
    for (std::size_t i = 0; i < query->ids.size(); ++i) {  // hidden since it was answered
        if (hidden_.contains(store::ObjectKey(query->ids[i]))) {
            query->answers[i] = {0, Residency::kNotStored};
        }
    }
    const std::weak_ptr alive(alive_);
    query->on_done(std::move(query->answers));
    if (!alive.expired()) pump();
}

}  // namespace kollator::chunk
