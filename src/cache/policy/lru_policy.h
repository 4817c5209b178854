#pragma once

#include <vector>

#include "cache/policy/eviction_policy.h"
#include "cache/policy/slot_list.h"

namespace kollator::cache {

/// The least recently used goes first.
class LruPolicy final : public EvictionPolicy {
 public:
    void insert(Slot slot, PolicyKey key, std::uint64_t bytes) override;
    void hit(Slot slot) override;
    void remove(Slot slot) override;
    Slot victim(const MayEvict& may_evict, TimePoint now) override;

 private:
    std::vector<SlotLink> links_;
    SlotList order_{links_};
};

}  // namespace kollator::cache
