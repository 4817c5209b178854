#include "cache/policy/lru_policy.h"

namespace kollator::cache {

void LruPolicy::insert(Slot slot, PolicyKey, std::uint64_t) {
    reach(links_, slot);
    order_.push_newest(slot, 0);
}

void LruPolicy::hit(Slot slot) {
    order_.erase(slot, 0);
    order_.push_newest(slot, 0);
}

void LruPolicy::remove(Slot slot) {
    order_.erase(slot, 0);
}

Slot LruPolicy::victim(const MayEvict& may_evict, TimePoint) {
    Slot slot = order_.oldest();
    while (slot != kNoSlot && !may_evict(slot)) slot = order_.newer_than(slot);
    return slot;
}

}  // namespace kollator::cache
