#include "cache/policy/tiny_lfu_policy.h"

namespace kollator::cache {
namespace {

/// The paper's: a window of 1 %, and 80 % of the rest protected.
constexpr std::uint64_t kWindowPercent = 1;
constexpr std::uint64_t kProtectedPercent = 80;

}  // namespace

TinyLfuPolicy::TinyLfuPolicy(std::uint64_t max_bytes)
    : window_bytes_(max_bytes / 100 * kWindowPercent),
      main_bytes_(max_bytes - window_bytes_),
      protected_bytes_(main_bytes_ / 100 * kProtectedPercent),
      sketch_(FrequencySketch::for_cache(max_bytes)) {}

SlotList& TinyLfuPolicy::list_of(Part part) {
    switch (part) {
        case Part::kWindow:
            return window_;
        case Part::kProbation:
            return probation_;
        case Part::kProtected:
            break;
    }
    return protected_;
}

void TinyLfuPolicy::insert(Slot slot, PolicyKey key, std::uint64_t bytes) {
    reach(links_, slot);
    reach(entries_, slot);
    entries_[slot] = {key, bytes, Part::kWindow};
    window_.push_newest(slot, bytes);
}

void TinyLfuPolicy::move(Slot slot, Part part) {
    Entry& entry = entries_[slot];
    list_of(entry.part).erase(slot, entry.bytes);
    entry.part = part;
    list_of(part).push_newest(slot, entry.bytes);
}

void TinyLfuPolicy::hit(Slot slot) {
    if (entries_[slot].part == Part::kWindow) return move(slot, Part::kWindow);
    move(slot, Part::kProtected);
    while (protected_.bytes() > protected_bytes_ && protected_.count() > 1) {
        move(protected_.oldest(), Part::kProbation);
    }
}

void TinyLfuPolicy::remove(Slot slot) {
    const Entry& entry = entries_[slot];
    list_of(entry.part).erase(slot, entry.bytes);
}

Slot TinyLfuPolicy::oldest_evictable(const SlotList& list, const MayEvict& may_evict) {
    Slot slot = list.oldest();
    while (slot != kNoSlot && !may_evict(slot)) slot = list.newer_than(slot);
    return slot;
}

/// While the main part has room, whoever leaves the window gets it without a contest.
void TinyLfuPolicy::fill_main() {
    while (window_.count() > 1 && window_.bytes() > window_bytes_) {
        const Slot oldest = window_.oldest();
        const std::uint64_t taken = probation_.bytes() + protected_.bytes();
        if (taken + entries_[oldest].bytes > main_bytes_) return;
        move(oldest, Part::kProbation);
    }
}

/// The newcomer takes the window's place, so its oldest has to win one in the main part, or go.
Slot TinyLfuPolicy::victim(const MayEvict& may_evict, TimePoint) {
    fill_main();
    Slot main = oldest_evictable(probation_, may_evict);
    if (main == kNoSlot) main = oldest_evictable(protected_, may_evict);
    const Slot candidate = oldest_evictable(window_, may_evict);
    if (candidate == kNoSlot || main == kNoSlot) return main != kNoSlot ? main : candidate;
    if (!beats(candidate, main)) return candidate;
    move(candidate, Part::kProbation);
    return main;
}

bool TinyLfuPolicy::beats(Slot candidate, Slot other) const {
    return sketch_.estimate(entries_[candidate].key) > sketch_.estimate(entries_[other].key);
}

}  // namespace kollator::cache
