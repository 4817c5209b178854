#include "cache/folder_cache.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "cache/folder.h"
#include "cache/folder_load.h"
#include "cache/snapshot.h"

namespace kollator::cache {
namespace {

const log::Logger kLog("cache");

/// Chunks held in memory until they are written: about 12 of 5 MiB. More come in only when the disk
/// is slower than the network, and then the cache is what can wait.
constexpr std::uint64_t kMaxInsertingBytes = 64U << 20;
/// So many writes that fail one after the other stop inserts for a while.
constexpr unsigned kMaxWriteFailures = 4;
constexpr std::chrono::seconds kWritePause{30};

}  // namespace

FolderCache::FolderCache(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
                         CacheOptions options)
    : loop_(loop),
      jobs_(jobs),
      fs_(fs),
      clock_(clock),
      options_(std::move(options)),
      index_(options_.max_bytes, options_.policy),
      strand_(loop, jobs),
      upkeep_timer_(loop) {}

// --- look-ups ----------------------------------------------------------------------------------

std::optional<std::uint32_t> FolderCache::size_of(const ChunkId& id) const {
    const IndexItem* item = index_.find(id);
    if (item == nullptr || aged(*item)) return std::nullopt;
    return item->size_bytes;
}

bool FolderCache::aged(const IndexItem& item) const {
    return options_.max_age > Duration::zero() &&
           item.last_used_ns < wall_ns() - options_.max_age.count();
}

std::shared_ptr<CachedChunk> FolderCache::find(const ChunkId& id) {
    index_.requested(id, clock_.now());
    auto chunk = find_again(id);
    if (!chunk) {
        ++counters_.misses;
        return nullptr;
    }
    ++counters_.hits;
    index_.touch(id, wall_ns());
    order_changed_ = true;
    return chunk;
}

void FolderCache::expect(const ChunkId& id) {
    index_.requested(id, clock_.now());
}

std::shared_ptr<CachedChunk> FolderCache::find_again(const ChunkId& id) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    const IndexItem* item = index_.find(id);
    if (item == nullptr) return nullptr;
    if (aged(*item) && !open_.contains(id)) {
        drop(id);
        ++counters_.evictions;
        return nullptr;
    }
    return open_chunk(*item);
}

std::vector<CacheEntry> FolderCache::list(const ChunkId& after, std::size_t limit) const {
    std::vector<CacheEntry> entries;
    for (const IndexItem& item : index_.list(after, limit)) {
        entries.push_back({item.id, item.size_bytes});
    }
    return entries;
}

CacheStats FolderCache::stats() const {
    CacheStats stats = counters_;
    stats.chunks = index_.count();
    stats.size_bytes = index_.used_bytes();
    stats.max_bytes = index_.max_bytes();
    stats.foreseeable = index_.foreseeable();
    stats.loading = load_ != nullptr;
    stats.bypassed = bypassed_ || disk_full_ || clock_.now() < paused_until_;
    if (stats.bypassed) stats.bypass_reason = bypass_reason_;
    return stats;
}

CacheUses FolderCache::uses() const {
    CacheUses uses;
    index_.for_each([&](const IndexItem& item) {
        const CacheUse use{item.id, item.hits};
        if (!uses.most_accessed || use.hits > uses.most_accessed->hits) uses.most_accessed = use;
        if (!uses.least_accessed || use.hits < uses.least_accessed->hits) {
            uses.least_accessed = use;
        }
    });
    return uses;
}

// --- inserts -----------------------------------------------------------------------------------

std::optional<Error> FolderCache::refusal_of(std::size_t size_bytes) const {
    if (size_bytes == 0 || size_bytes > kMaxChunkBytes) {
        return make_error(ErrorCode::kInvalid,
                          "a chunk of " + std::to_string(size_bytes) + " bytes cannot be cached");
    }
    if (bypassed_ || closed_ || clock_.now() < paused_until_) {
        return make_error(ErrorCode::kUnavailable,
                          closed_ ? "the cache is closed" : "the cache is bypassed");
    }
    if (load_) return make_error(ErrorCode::kUnavailable, "the cache is being indexed");
    if (inserting_bytes_ > 0 && inserting_bytes_ + size_bytes > kMaxInsertingBytes) {
        return make_error(ErrorCode::kLimit, "too many inserts wait for the disk");
    }
    return std::nullopt;
}

void FolderCache::insert(const ChunkId& id, SharedBuffer bytes, OnDone on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread() && bytes != nullptr);
    if (auto refusal = refusal_of(bytes->size())) return answer(std::move(on_done), *refusal);
    if (index_.find(id) != nullptr) return answer(std::move(on_done), {});
    if (const auto under_way = inserts_.find(id); under_way != inserts_.end()) {
        under_way->second.unwanted = false;
        under_way->second.waiting.push_back(std::move(on_done));
        return;
    }
    const std::uint64_t charged = file_bytes_of(static_cast<std::uint32_t>(bytes->size()));
    std::vector<IndexItem> evicted;
    switch (index_.reserve(charged, Newcomer{id, clock_.now()}, evicted)) {
        case Reservation::kHeld:
            break;
        case Reservation::kNoRoom:
            return answer(std::move(on_done),
                          make_error(ErrorCode::kLimit, "no room that is not in use"));
        case Reservation::kNotWorth:
            ++counters_.rejections;
            return answer(std::move(on_done),
                          make_error(ErrorCode::kLimit, "what is cached is worth more"));
    }
    counters_.evictions += evicted.size();
    forget_files(evicted);
    inserting_bytes_ += bytes->size();
    Insert& insert = inserts_[id];
    insert.bytes = std::move(bytes);
    insert.charged_bytes = charged;
    insert.waiting.push_back(std::move(on_done));
    start_write(id, std::move(evicted));
}

void FolderCache::start_write(const ChunkId& id, std::vector<IndexItem> evicted) {
    const auto temporary =
        options_.path / kTemporaryFolder / (id.hex() + "." + std::to_string(temporary_number_++));
    strand_.run(
        [&fs = fs_, folder = options_.path, temporary, id, evicted = std::move(evicted),
         bytes = inserts_.at(id).bytes] {
            Written written;
            written.removed = unlink_files(fs, folder, evicted);
            written.status =
                written.removed.stuck_bytes > 0
                    ? make_error(ErrorCode::kUnavailable, written.removed.error)
                    : write_chunk_file(fs, temporary, folder / chunk_path(id), id, bytes->span());
            return written;
        },
        [this, id](Written written) { on_written(id, std::move(written)); });
}

void FolderCache::on_written(const ChunkId& id, Written written) {
    note_removed(written.removed);
    Insert& insert = inserts_.at(id);
    const bool disk_full = !written.status && written.status.error().code == ErrorCode::kLimit;
    if (disk_full && make_more_room(id, insert)) return;
    note_write(written.status);

    const Insert ended = std::move(insert);
    inserts_.erase(id);
    inserting_bytes_ -= ended.bytes->size();
    if (written.status) {
        index_.commit({id, static_cast<std::uint32_t>(ended.bytes->size()), ended.charged_bytes, 0,
                       wall_ns()});
        ++counters_.insertions;
        order_changed_ = true;
        if (observer_) observer_(id, true);
        if (ended.unwanted) drop(id);
    } else {
        index_.release(ended.charged_bytes);
        kLog.warn("event=insert-failed chunk={} error=\"{}\"", id.hex(),
                  written.status.error().detail);
    }
    const std::weak_ptr alive(alive_);
    for (const OnDone& on_done : ended.waiting) {
        if (on_done) on_done(written.status);
        if (alive.expired()) return;
    }
}

/// A disk that is full before the cache is: something else takes its room. The cache gives way,
/// once for an insert, and then lives with what it has.
bool FolderCache::make_more_room(const ChunkId& id, Insert& insert) {
    if (insert.made_room) return false;
    insert.made_room = true;
    auto evicted = index_.evict(insert.charged_bytes);
    if (evicted.empty()) return false;
    counters_.evictions += evicted.size();
    forget_files(evicted);
    start_write(id, std::move(evicted));
    return true;
}

void FolderCache::note_write(const Status& status) {
    disk_full_ = !status && status.error().code == ErrorCode::kLimit;
    if (status) {
        write_failures_ = 0;
        return;
    }
    if (disk_full_) bypass_reason_ = status.error().detail;
    if (++write_failures_ < kMaxWriteFailures) return;
    write_failures_ = 0;
    paused_until_ = clock_.now() + kWritePause;
    bypass_reason_ = status.error().detail;
    kLog.error("event=writes-paused seconds={} reason=\"{}\"", kWritePause.count(), bypass_reason_);
}

// --- removal -----------------------------------------------------------------------------------

void FolderCache::remove(const ChunkId& id) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    if (const auto under_way = inserts_.find(id); under_way != inserts_.end()) {
        under_way->second.unwanted = true;
    }
    if (load_) load_->removed.insert(id);
    if (index_.find(id) != nullptr) drop(id);
}

/// Out of the index at once; the file goes when the strand gets there. REQUIRES: it is there.
void FolderCache::drop(const ChunkId& id) {
    IndexItem item;
    const auto found = open_.find(id);
    if (found != open_.end() && found->second->readers > 0) {
        const auto open = found->second;
        item = index_.detach(id);
        open->detached = true;
        if (open->listed) open_files_.erase(open->position);
        open->listed = false;
        open_.erase(id);
        if (observer_) observer_(id, false);
    } else {
        item = index_.remove(id);
        forget_files({item});
    }
    order_changed_ = true;
    unlink({item}, nullptr);
}

/// Closes the files of removed chunks that nobody reads.
void FolderCache::forget_files(const std::vector<IndexItem>& items) {
    for (const IndexItem& item : items) {
        if (observer_) observer_(item.id, false);
        const auto found = open_.find(item.id);
        if (found == open_.end()) continue;
        const auto open = found->second;
        KOLLATOR_CHECK(open->readers == 0);
        close_file(*open);
    }
    if (!items.empty()) order_changed_ = true;
}

void FolderCache::unlink(std::vector<IndexItem> items, std::function<void()> on_done) {
    strand_.run([&fs = fs_, folder = options_.path,
                 items = std::move(items)] { return unlink_files(fs, folder, items); },
                [this, on_done = std::move(on_done)](const Removed& removed) {
                    note_removed(removed);
                    if (on_done) on_done();
                });
}

FolderCache::Removed FolderCache::unlink_files(FileSystem& fs, const std::filesystem::path& folder,
                                               const std::vector<IndexItem>& items) {
    Removed removed;
    for (const IndexItem& item : items) {
        const Status status = fs.remove(folder / chunk_path(item.id));
        if (status || status.error().code == ErrorCode::kNotFound) continue;
        removed.stuck_bytes += item.charged_bytes;
        removed.error = status.error().detail;
    }
    return removed;
}

void FolderCache::note_removed(const Removed& removed) {
    if (removed.stuck_bytes == 0) return;
    // They take room on the disk until a restart finds them again.
    index_.hold(removed.stuck_bytes);
    kLog.error("event=remove-failed stuck_bytes={} error=\"{}\"", removed.stuck_bytes,
               removed.error);
}

void FolderCache::clear(std::function<void(std::size_t dropped)> on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    auto items = index_.clear();
    if (load_) load_->cleared = true;
    forget_files(items);
    std::size_t dropped = items.size();
    // What is being written by now was taken in before: it goes when it is there.
    for (auto& [id, insert] : inserts_) {
        if (!std::exchange(insert.unwanted, true)) ++dropped;
    }
    kLog.info("event=cleared chunks={}", dropped);
    unlink(std::move(items), [on_done = std::move(on_done), dropped] {
        if (on_done) on_done(dropped);
    });
}

// --- upkeep ------------------------------------------------------------------------------------

void FolderCache::upkeep() {
    upkeep_timer_.start_after(options_.upkeep_interval, [this] { upkeep(); });
    if (load_) return;
    if (bypassed_) return start_load(Duration::zero());
    disk_full_ = false;  // the next write tells
    if (options_.max_age > Duration::zero()) {
        auto aged_items = index_.expire(wall_ns() - options_.max_age.count());
        counters_.evictions += aged_items.size();
        forget_files(aged_items);
        if (!aged_items.empty()) unlink(std::move(aged_items), nullptr);
    }
    if (order_changed_) write_order(nullptr);
}

void FolderCache::write_order(OnDone on_done) {
    order_changed_ = false;
    std::vector<SnapshotItem> items;
    items.reserve(index_.count());
    index_.for_each([&](const IndexItem& item) {
        items.push_back({item.id, item.hits, item.last_used_ns});
    });
    strand_.run(
        [&fs = fs_, folder = options_.path, items = std::move(items)] {
            return write_snapshot(fs, folder / kTemporaryFolder / kSnapshotName,
                                  folder / kSnapshotName, encode_snapshot(items));
        },
        [on_done = std::move(on_done)](const Status& status) {
            if (!status) kLog.warn("event=snapshot-failed error=\"{}\"", status.error().detail);
            if (on_done) on_done(status);
        });
}

void FolderCache::close(OnDone on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread() && !closed_);
    closed_ = true;
    upkeep_timer_.cancel();
    // What is not indexed yet has no order to write; the one that is there stays.
    if (bypassed_ || load_) return answer(std::move(on_done), {});
    // Behind all writes under way: an insert that has to make room again is not waited for.
    if (!options_.replaceable) return write_order(std::move(on_done));
    write_order(nullptr);
    strand_.run([&fs = fs_, mark = options_.path /
                                   kCleanMarkName] { return write_file_durably(fs, mark, {}); },
                std::move(on_done));
}

void FolderCache::answer(OnDone on_done, Status status) {
    if (!on_done) return;
    loop_.post(
        [alive = std::weak_ptr(alive_), on_done = std::move(on_done), status = std::move(status)] {
            if (!alive.expired()) on_done(status);
        });
}

std::int64_t FolderCache::wall_ns() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               clock_.wall_now().time_since_epoch())
        .count();
}

std::unique_ptr<DiskCache> open_disk_cache(EventLoop& loop, JobPool& jobs, FileSystem& fs,
                                           const Clock& clock, CacheOptions options) {
    auto cache = std::make_unique<FolderCache>(loop, jobs, fs, clock, std::move(options));
    cache->load();
    return cache;
}

}  // namespace kollator::cache
