#pragma once

#include <vector>

#include "cache/policy/eviction_policy.h"
#include "cache/policy/frequency_sketch.h"
#include "cache/policy/slot_list.h"

namespace kollator::cache {

/// W-TinyLFU (Einziger, Friedman and Manes, 2017): newcomers wait in a small window; its oldest
/// goes on into the main part only where it was asked for more often than who would have to go.
class TinyLfuPolicy final : public EvictionPolicy {
 public:
    explicit TinyLfuPolicy(std::uint64_t max_bytes);

    void requested(PolicyKey key, TimePoint) override { sketch_.add(key); }
    void insert(Slot slot, PolicyKey key, std::uint64_t bytes) override;
    void hit(Slot slot) override;
    void remove(Slot slot) override;
    Slot victim(const MayEvict& may_evict, TimePoint now) override;

 private:
    enum class Part : std::uint8_t { kWindow, kProbation, kProtected };
    struct Entry {
        PolicyKey key = 0;
        std::uint64_t bytes = 0;
        Part part = Part::kWindow;
    };

    SlotList& list_of(Part part);
    void move(Slot slot, Part part);
    void fill_main();
    bool beats(Slot candidate, Slot other) const;
    static Slot oldest_evictable(const SlotList& list, const MayEvict& may_evict);

    const std::uint64_t window_bytes_;
    const std::uint64_t main_bytes_;
    const std::uint64_t protected_bytes_;
    FrequencySketch sketch_;
    std::vector<SlotLink> links_;
    SlotList window_{links_};
    SlotList probation_{links_};
    SlotList protected_{links_};
    std::vector<Entry> entries_;
};

}  // namespace kollator::cache
