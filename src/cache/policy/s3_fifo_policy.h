#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "cache/policy/eviction_policy.h"
#include "cache/policy/slot_list.h"

namespace kollator::cache {

/// S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023): newcomers pass a small queue and go when
/// nobody asked again; those who were asked for, and those who come back soon, live in the main
/// queue.
class S3FifoPolicy final : public EvictionPolicy {
 public:
    explicit S3FifoPolicy(std::uint64_t max_bytes);

    void insert(Slot slot, PolicyKey key, std::uint64_t bytes) override;
    void hit(Slot slot) override;
    void remove(Slot slot) override;
    Slot victim(const MayEvict& may_evict, TimePoint now) override;

 private:
    struct Entry {
        PolicyKey key = 0;
        std::uint64_t bytes = 0;
        std::uint8_t uses = 0;  // 0 to kMaxUses
        bool in_main = false;
    };
    static constexpr std::uint8_t kMaxUses = 3;

    Slot small_victim(const MayEvict& may_evict);
    Slot main_victim(const MayEvict& may_evict);
    void move_to_main(Slot slot);
    void remember(PolicyKey key);

    const std::uint64_t small_bytes_;
    std::vector<SlotLink> links_;
    SlotList small_{links_};
    SlotList main_{links_};
    std::vector<Entry> entries_;
    /// Names that left the small queue unasked, oldest first; as many as the main queue has.
    std::deque<PolicyKey> ghosts_;
    std::unordered_map<PolicyKey, unsigned> ghost_counts_;
};

}  // namespace kollator::cache
