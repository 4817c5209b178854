#include "cache/folder_load.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <tuple>
#include <unordered_map>

#include "base/log.h"
#include "cache/folder.h"
#include "cache/snapshot.h"

// The beginning of FolderCache: a job reads the folder, and the loop takes in what it found.

namespace kollator::cache {
namespace {

const log::Logger kLog("cache");

/// What was popular before a restart is so after it; a few requests tell that.
constexpr std::uint64_t kRestoredUses = 15;
/// Taken in at one turn of the loop: about 2 ms.
constexpr std::size_t kItemsATurn = 1000;

/// From the job to the start, which waits for it, or to the loop, which does not.
struct Handover {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    bool taken = false;
};

std::vector<SnapshotItem> load_snapshot(FileSystem& fs, const std::filesystem::path& folder) {
    const auto bytes = read_file(fs, folder / kSnapshotName, kMaxSnapshotBytes);
    if (!bytes) return {};
    auto items = decode_snapshot(*bytes);
    if (!items) {
        kLog.warn("event=snapshot-damaged action=order-by-file-times");
        return {};
    }
    return std::move(*items);
}

/// The chunks that were found, least recently used first, by the snapshot's order; those that it
/// does not know go by their files' times.
std::vector<IndexItem> in_order(const std::vector<FoundChunk>& chunks,
                                const std::vector<SnapshotItem>& snapshot, std::int64_t now_ns) {
    std::unordered_map<ChunkId, std::size_t, KeyedHash> places;
    places.reserve(snapshot.size());
    for (const SnapshotItem& item : snapshot) places.try_emplace(item.id, places.size());
    struct Placed {
        std::size_t place;
        IndexItem item;
    };
    std::vector<Placed> placed;
    placed.reserve(chunks.size());
    for (const FoundChunk& found : chunks) {
        Placed one{snapshot.size(),
                   {found.id, found.size_bytes, file_bytes_of(found.size_bytes), 0,
                    std::min(found.last_used_ns, now_ns)}};
        if (const auto at = places.find(found.id); at != places.end()) {
            one.place = at->second;
            one.item.hits = snapshot[at->second].hits;
            one.item.last_used_ns = std::min(snapshot[at->second].last_used_ns, now_ns);
        }
        placed.push_back(one);
    }
    std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
        return std::tie(a.item.last_used_ns, a.place, a.item.id) <
               std::tie(b.item.last_used_ns, b.place, b.item.id);
    });
    std::vector<IndexItem> items;
    items.reserve(placed.size());
    for (const Placed& one : placed) items.push_back(one.item);
    return items;
}

}  // namespace

FolderCache::~FolderCache() = default;

void FolderCache::load() {
    start_load(options_.start_wait);
    upkeep_timer_.start_after(options_.upkeep_interval, [this] { upkeep(); });
}

/// In a job.
FolderCache::LoadedFolder FolderCache::read_folder(FileSystem& fs, const CacheOptions& options,
                                                   std::int64_t now_ns) {
    LoadedFolder loaded;
    loaded.status = prepare_folder(fs, options.path);
    if (!loaded.status) return loaded;
    auto scan = scan_folder(fs, options.path);
    if (!scan) {
        loaded.status = scan.error();
        return loaded;
    }
    loaded.put_aside = scan->put_aside;
    if (scan->foreign_files + scan->broken_files > 0) {
        kLog.warn("event=scanned path=\"{}\" foreign_files={} broken_files={} put_aside={}",
                  options.path.string(), scan->foreign_files, scan->broken_files, scan->put_aside);
    }
    loaded.items = in_order(scan->chunks, load_snapshot(fs, options.path), now_ns);
    loaded.trusted = !options.replaceable || take_clean_mark(fs, options.path);
    return loaded;
}

void FolderCache::start_load(Duration wait) {
    load_ = std::make_unique<Load>();
    const auto handover = std::make_shared<Handover>();
    const auto folder = std::make_shared<LoadedFolder>();
    jobs_.run(
        loop_,
        [&fs = fs_, options = options_, now_ns = wall_ns(), handover, folder] {
            *folder = read_folder(fs, options, now_ns);
            const std::lock_guard lock(handover->mutex);
            handover->done = true;
            handover->changed.notify_one();
        },
        [this, alive = std::weak_ptr(alive_), handover, folder] {
            if (alive.expired() || handover->taken) return;
            on_loaded(std::move(*folder));
            take_in_some(kItemsATurn);
        });
    if (wait == Duration::zero()) return;
    {
        std::unique_lock lock(handover->mutex);
        if (!handover->changed.wait_for(lock, wait, [&] { return handover->done; })) {
            kLog.info("event=indexing path=\"{}\" action=go-on", options_.path.string());
            return;
        }
    }
    handover->taken = true;
    load_->at_start = true;
    on_loaded(std::move(*folder));
    take_in_some(SIZE_MAX);
}

void FolderCache::on_loaded(LoadedFolder loaded) {
    load_->folder = std::move(loaded);
    load_->read = true;
    if (!load_->folder.status) {
        bypass(load_->folder.status.error().detail);
        load_->folder.items.clear();
        return;
    }
    if (bypassed_) kLog.info("event=usable-again path=\"{}\"", options_.path.string());
    bypassed_ = false;
    counters_.put_aside += load_->folder.put_aside;
}

/// Oldest first: where max_bytes has become smaller, the oldest go.
void FolderCache::take_in_some(std::size_t count) {
    const auto& items = load_->folder.items;
    for (; count > 0 && load_->next < items.size(); --count, ++load_->next) {
        const IndexItem& item = items[load_->next];
        for (std::uint64_t use = 0; use < std::min(item.hits, kRestoredUses); ++use) {
            index_.requested(item.id, clock_.now());
        }
        const bool wanted = load_->folder.trusted && !load_->cleared && !aged(item) &&
                            !load_->removed.contains(item.id);
        if (wanted && index_.reserve(item.charged_bytes, std::nullopt, load_->dropped) ==
                          Reservation::kHeld) {
            index_.commit(item);
        } else {
            load_->dropped.push_back(item);
        }
    }
    if (load_->next == items.size()) return end_load();
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired() && load_ && load_->read) take_in_some(kItemsATurn);
    });
}

void FolderCache::end_load() {
    const auto load = std::move(load_);
    counters_.evictions += load->dropped.size();
    forget_files(load->dropped);
    if (load->at_start) {
        note_removed(unlink_files(fs_, options_.path, load->dropped));
    } else if (!load->dropped.empty()) {
        unlink(load->dropped, nullptr);
    }
    if (!bypassed_) {
        kLog.info("event=opened path=\"{}\" chunks={} size_bytes={} max_bytes={}",
                  options_.path.string(), index_.count(), index_.used_bytes(), index_.max_bytes());
    }
    for (auto& on_ready : std::exchange(waiting_for_load_, {})) loop_.post(std::move(on_ready));
}

void FolderCache::when_loaded(std::function<void()> on_ready) {
    if (load_) return waiting_for_load_.push_back(std::move(on_ready));
    loop_.post(std::move(on_ready));
}

void FolderCache::bypass(const std::string& reason) {
    if (!bypassed_) {
        kLog.error("event=bypassed path=\"{}\" reason=\"{}\"", options_.path.string(), reason);
    }
    bypassed_ = true;
    bypass_reason_ = reason;
    (void)index_.clear();
}

// --- the whole of a chunk, for the scrubber ----------------------------------------------------

void FolderCache::verify(const ChunkId& id, OnDone on_done) {
    const IndexItem* item = index_.find(id);
    if (item == nullptr) {
        return answer(std::move(on_done), make_error(ErrorCode::kNotFound, "not cached"));
    }
    jobs_.run(
        loop_,
        [&fs = fs_, path = options_.path / chunk_path(id), id, size_bytes = item->size_bytes,
         by_name = !options_.replaceable] {
            return check_chunk_file(fs, path, id, size_bytes, by_name);
        },
        [this, alive = std::weak_ptr(alive_), id, on_done = std::move(on_done)](Status status) {
            if (alive.expired()) return;
            const bool is_there = index_.find(id) != nullptr;
            if (!is_there) {
                status = make_error(ErrorCode::kNotFound, "evicted meanwhile");
            } else if (!status && status.error().code != ErrorCode::kLimit) {
                ++counters_.corruptions;
                kLog.warn("event=corrupt chunk={} action=dropped by=scrub error=\"{}\"", id.hex(),
                          status.error().detail);
                drop(id);
                status = make_error(ErrorCode::kCorrupt, status.error().detail);
            }
            on_done(status);
        });
}

}  // namespace kollator::cache
