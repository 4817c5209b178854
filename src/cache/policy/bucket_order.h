#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <vector>

#include "cache/policy/slot_list.h"

namespace kollator::cache {

/// Slots by how long until they are needed, in buckets that are an eighth of an octave wide: who
/// comes when is a guess, and within a bucket the first one in is as good as any. Constant time, at
/// a million slots too. A slot is in one order at a time.
class WaitOrder {
 public:
    explicit WaitOrder(std::vector<SlotLink>& links) : lists_(kBuckets, SlotList(links)) {}

    static std::uint32_t bucket_of(double seconds) {
        // Exponent and the first three bits of the mantissa, as they stand in the number.
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(seconds));
        return seconds > 0 ? (bits >> 20) & (kBuckets - 1) : 0;
    }
    void insert(Slot slot, std::uint32_t bucket) {
        lists_[bucket].push_newest(slot, 0);
        used_[bucket / 64] |= 1ULL << bucket % 64;
    }
    void erase(Slot slot, std::uint32_t bucket) {
        lists_[bucket].erase(slot, 0);
        if (lists_[bucket].empty()) used_[bucket / 64] &= ~(1ULL << bucket % 64);
    }
    /// The one that is needed last of those that may go.
    Slot last(const EvictionPolicy::MayEvict& may_evict) const {
        for (std::size_t word = kWords; word > 0; --word) {
            for (std::uint64_t left = used_[word - 1]; left != 0;) {
                const auto bit = static_cast<std::size_t>(std::bit_width(left)) - 1;
                const Slot slot = first_of(lists_[(word - 1) * 64 + bit], may_evict);
                if (slot != kNoSlot) return slot;
                left &= ~(1ULL << bit);
            }
        }
        return kNoSlot;
    }

    static Slot first_of(const SlotList& list, const EvictionPolicy::MayEvict& may_evict) {
        Slot slot = list.oldest();
        while (slot != kNoSlot && !may_evict(slot)) slot = list.newer_than(slot);
        return slot;
    }

 private:
    static constexpr std::size_t kBuckets = 2048;
    static constexpr std::size_t kWords = kBuckets / 64;

    std::vector<SlotList> lists_;
    std::uint64_t used_[kWords] = {};
};

/// Slots by the eighth of a second in which they are needed.
class DueOrder {
 public:
    explicit DueOrder(std::vector<SlotLink>& links) : links_(links) {}

    static std::int64_t bucket_of(double seconds) { return static_cast<std::int64_t>(seconds * 8); }
    void insert(Slot slot, std::int64_t bucket) {
        lists_.try_emplace(bucket, links_).first->second.push_newest(slot, 0);
    }
    void erase(Slot slot, std::int64_t bucket) {
        const auto list = lists_.find(bucket);
        list->second.erase(slot, 0);
        if (list->second.empty()) lists_.erase(list);
    }
    Slot last(const EvictionPolicy::MayEvict& may_evict) const {
        for (auto list = lists_.rbegin(); list != lists_.rend(); ++list) {
            const Slot slot = WaitOrder::first_of(list->second, may_evict);
            if (slot != kNoSlot) return slot;
        }
        return kNoSlot;
    }

 private:
    std::vector<SlotLink>& links_;
    std::map<std::int64_t, SlotList> lists_;
};

}  // namespace kollator::cache
