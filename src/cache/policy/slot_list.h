#pragma once

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::cache {

/// Where each slot stands in the one list that it is in.
struct SlotLink {
    Slot newer = kNoSlot;
    Slot older = kNoSlot;
};

/// A doubly linked list of slots, newest at the front, which counts their bytes. Several lists
/// share one table of links: a slot is in one of them at a time.
class SlotList {
 public:
    explicit SlotList(std::vector<SlotLink>& links) : links_(links) {}

    bool empty() const { return oldest_ == kNoSlot; }
    Slot newest() const { return newest_; }
    Slot oldest() const { return oldest_; }
    Slot newer_than(Slot slot) const { return links_[slot].newer; }
    std::uint64_t bytes() const { return bytes_; }
    std::size_t count() const { return count_; }

    void push_newest(Slot slot, std::uint64_t bytes) {
        links_[slot] = {kNoSlot, newest_};
        (newest_ == kNoSlot ? oldest_ : links_[newest_].newer) = slot;
        newest_ = slot;
        bytes_ += bytes;
        ++count_;
    }

    void erase(Slot slot, std::uint64_t bytes) {
        KOLLATOR_CHECK(count_ > 0 && bytes <= bytes_);
        const SlotLink link = links_[slot];
        (link.newer == kNoSlot ? newest_ : links_[link.newer].older) = link.older;
        (link.older == kNoSlot ? oldest_ : links_[link.older].newer) = link.newer;
        bytes_ -= bytes;
        --count_;
    }

 private:
    std::vector<SlotLink>& links_;
    Slot newest_ = kNoSlot;
    Slot oldest_ = kNoSlot;
    std::uint64_t bytes_ = 0;
    std::size_t count_ = 0;
};

/// Makes room for `slot` in a table that is indexed by slots.
template <typename T>
void reach(std::vector<T>& table, Slot slot) {
    if (slot >= table.size()) table.resize(std::size_t{slot} + 1);
}

}  // namespace kollator::cache
