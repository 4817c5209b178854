#include "store/journal/backlog.h"

#include <algorithm>

#include "base/check.h"

namespace kollator::store {
namespace {

/// The block of common file systems; the digest behind the object counts too.
constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::uint64_t kFooterBytes = 32;
/// 2^16 times the shortest pause is beyond any longest one.
constexpr unsigned kMaxDoublings = 16;

}  // namespace

std::uint64_t Backlog::charge_of(std::uint64_t size_bytes) {
    return (size_bytes + kFooterBytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// --- room and entries --------------------------------------------------------------------------

bool Backlog::reserve(std::uint64_t size_bytes) {
    const std::uint64_t charge = charge_of(size_bytes);
    if (used_bytes_ + charge > options_.max_bytes) return false;
    used_bytes_ += charge;
    return true;
}

void Backlog::release(std::uint64_t size_bytes) {
    const std::uint64_t charge = charge_of(size_bytes);
    KOLLATOR_CHECK(used_bytes_ >= charge);
    used_bytes_ -= charge;
}

void Backlog::add(const JournalFile& file) {
    if (const auto older = by_key_.find(file.name.key); older != by_key_.end()) {
        PendingObject& object = objects_.at(older->second);
        release(object.file.size_bytes);  // write() has removed its file
        if (object.sending) {
            object.replaced = true;
        } else {
            objects_.erase(older->second);
        }
    }
    insert(file);
}

void Backlog::restore(const JournalFile& file) {
    used_bytes_ += charge_of(file.size_bytes);
    insert(file);
}

void Backlog::insert(const JournalFile& file) {
    next_number_ = std::max(next_number_, file.name.number + 1);
    by_key_[file.name.key] = file.name.number;
    objects_[file.name.number].file = file;
}

const PendingObject* Backlog::find(const ObjectKey& key) const {
    const auto found = by_key_.find(key);
    return found != by_key_.end() ? &objects_.at(found->second) : nullptr;
}

std::vector<ListEntry> Backlog::list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                     std::size_t limit) const {
    ObjectKey from{ChunkId(after)};
    from.kind = kind;
    std::vector<ListEntry> entries;
    for (auto at = by_key_.upper_bound(from); at != by_key_.end() && entries.size() < limit; ++at) {
        if (at->first.kind != kind) break;
        entries.push_back({at->first.hash, objects_.at(at->second).file.size_bytes});
    }
    return entries;
}

std::optional<std::int64_t> Backlog::oldest_ns() const {
    for (const auto& [number, object] : objects_) {
        if (!withheld(object.file.name.key)) return object.file.written_ns;
    }
    return std::nullopt;
}

std::size_t Backlog::withheld_count() const {
    if (!filter_) return 0;
    return static_cast<std::size_t>(
        std::count_if(by_key_.begin(), by_key_.end(),
                      [this](const auto& entry) { return filter_(entry.first); }));
}

// --- sending -----------------------------------------------------------------------------------

std::optional<JournalFile> Backlog::next(TimePoint now) {
    const std::size_t max_sending = failures_ > 0 ? 1 : options_.max_sending;
    if (now < paused_until_ || sending_keys_.size() >= max_sending) return std::nullopt;
    for (auto& [number, object] : objects_) {
        if (object.sending || object.held || object.not_before > now) continue;
        if (sending_keys_.contains(object.file.name.key)) continue;
        if (withheld(object.file.name.key)) continue;
        const std::uint64_t size_bytes = object.file.size_bytes;
        const bool fits = sending_bytes_ + size_bytes <= options_.max_sending_bytes;
        if (!sending_keys_.empty() && !fits) return std::nullopt;
        object.sending = true;
        sending_keys_.insert(object.file.name.key);
        sending_bytes_ += size_bytes;
        return object.file;
    }
    return std::nullopt;
}

std::optional<TimePoint> Backlog::next_time(TimePoint now) const {
    const TimePoint at_once = std::max(now, paused_until_);
    std::optional<TimePoint> soonest;
    for (const auto& [number, object] : objects_) {
        if (object.sending || object.held || withheld(object.file.name.key)) continue;
        if (object.not_before <= at_once) return at_once;
        if (!soonest || object.not_before < *soonest) soonest = object.not_before;
    }
    return soonest;
}

void Backlog::end_sending(PendingObject& object) {
    KOLLATOR_CHECK(object.sending);
    object.sending = false;
    sending_keys_.erase(object.file.name.key);
    sending_bytes_ -= object.file.size_bytes;
}

bool Backlog::erase(std::uint64_t number) {
    const auto found = objects_.find(number);
    KOLLATOR_CHECK(found != objects_.end());
    const bool newest = !found->second.replaced;
    if (newest) by_key_.erase(found->second.file.name.key);
    objects_.erase(found);
    return newest;
}

bool Backlog::sent(std::uint64_t number) {
    end_sending(objects_.at(number));
    failures_ = 0;
    paused_until_ = {};
    return erase(number);
}

bool Backlog::drop(std::uint64_t number) {
    PendingObject& object = objects_.at(number);
    if (object.sending) end_sending(object);
    return erase(number);
}

void Backlog::put_back(std::uint64_t number) {
    PendingObject& object = objects_.at(number);
    end_sending(object);
    if (object.replaced) (void)erase(number);
}

void Backlog::failed(std::uint64_t number, TimePoint now) {
    PendingObject& object = objects_.at(number);
    end_sending(object);
    if (object.replaced) {
        (void)erase(number);
    } else {
        object.not_before =
            now + std::chrono::duration_cast<TimePoint::duration>(pause_after(++object.failures));
    }
    // Those that were on their way together fail together: one pause for them all.
    if (now < paused_until_) return;
    paused_until_ = now + std::chrono::duration_cast<TimePoint::duration>(pause_after(++failures_));
}

/// Between half and the whole of min * 2^(failures - 1): spread, but never at once.
Duration Backlog::pause_after(unsigned failures) {
    const unsigned doublings = std::min(failures - 1, kMaxDoublings);
    const Duration whole = std::min(options_.max_pause, options_.min_pause * (1U << doublings));
    const auto half = static_cast<std::uint64_t>(whole.count()) / 2;
    return Duration(static_cast<Duration::rep>(half + random_.u64() % (half + 1)));
}

void Backlog::hurry() {
    failures_ = 0;
    paused_until_ = {};
    for (auto& [number, object] : objects_) object.not_before = {};
}

void Backlog::hold(const ObjectKey& key, bool held) {
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) objects_.at(found->second).held = held;
}

}  // namespace kollator::store
