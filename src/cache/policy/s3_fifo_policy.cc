#include "cache/policy/s3_fifo_policy.h"

#include <algorithm>

namespace kollator::cache {
namespace {

/// The paper's: "the small queue uses 10 % of the space".
constexpr std::uint64_t kSmallPercent = 10;
/// With few chunks in the cache its own number of names is too short a memory.
constexpr std::size_t kMinGhosts = 1024;

}  // namespace

S3FifoPolicy::S3FifoPolicy(std::uint64_t max_bytes)
    : small_bytes_(max_bytes / 100 * kSmallPercent) {}

void S3FifoPolicy::insert(Slot slot, PolicyKey key, std::uint64_t bytes) {
    reach(links_, slot);
    reach(entries_, slot);
    const bool known = ghost_counts_.contains(key);
    entries_[slot] = {key, bytes, 0, known};
    (known ? main_ : small_).push_newest(slot, bytes);
}

void S3FifoPolicy::hit(Slot slot) {
    Entry& entry = entries_[slot];
    if (entry.uses < kMaxUses) ++entry.uses;
}

void S3FifoPolicy::remove(Slot slot) {
    const Entry& entry = entries_[slot];
    (entry.in_main ? main_ : small_).erase(slot, entry.bytes);
    if (!entry.in_main) remember(entry.key);
}

Slot S3FifoPolicy::victim(const MayEvict& may_evict, TimePoint) {
    if (small_.bytes() > small_bytes_ || main_.empty()) {
        const Slot slot = small_victim(may_evict);
        if (slot != kNoSlot) return slot;
    }
    const Slot slot = main_victim(may_evict);
    return slot != kNoSlot ? slot : small_victim(may_evict);
}

Slot S3FifoPolicy::small_victim(const MayEvict& may_evict) {
    for (Slot slot = small_.oldest(); slot != kNoSlot;) {
        const Slot next = small_.newer_than(slot);
        if (entries_[slot].uses > 0) {
            move_to_main(slot);
        } else if (may_evict(slot)) {
            return slot;
        }
        slot = next;
    }
    return kNoSlot;
}

Slot S3FifoPolicy::main_victim(const MayEvict& may_evict) {
    // Each pass takes a use away from each: after kMaxUses of them nobody has any left.
    for (std::size_t left = main_.count() * (kMaxUses + 1); left > 0; --left) {
        const Slot slot = main_.oldest();
        Entry& entry = entries_[slot];
        if (entry.uses == 0 && may_evict(slot)) return slot;
        if (entry.uses > 0) --entry.uses;
        main_.erase(slot, entry.bytes);
        main_.push_newest(slot, entry.bytes);
    }
    return kNoSlot;
}

void S3FifoPolicy::move_to_main(Slot slot) {
    Entry& entry = entries_[slot];
    small_.erase(slot, entry.bytes);
    main_.push_newest(slot, entry.bytes);
    entry.in_main = true;
    entry.uses = 0;
}

void S3FifoPolicy::remember(PolicyKey key) {
    ghosts_.push_back(key);
    ++ghost_counts_[key];
    while (ghosts_.size() > std::max(main_.count(), kMinGhosts)) {
        const auto oldest = ghost_counts_.find(ghosts_.front());
        if (--oldest->second == 0) ghost_counts_.erase(oldest);
        ghosts_.pop_front();
    }
}

}  // namespace kollator::cache
