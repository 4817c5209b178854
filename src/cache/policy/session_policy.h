#pragma once

#include <vector>

#include "cache/policy/bucket_order.h"
#include "cache/policy/eviction_policy.h"
#include "cache/policy/frequency_sketch.h"
#include "cache/policy/reader_forecast.h"

namespace kollator::cache {

/// Evicts what is likely to be needed last, as Belady's MIN would if it had to guess: a chunk that
/// a reader is on its way to is needed when that reader comes; another one of a known file when the
/// next reader of the file may be expected; any other by how often it was asked for of late. A
/// newcomer that will be needed later than all that is there is not taken in, and so not written to
/// the disk either.
class SessionPolicy final : public EvictionPolicy {
 public:
    SessionPolicy(std::uint64_t max_bytes, SlotFinder find_slot,
                  ReaderForecast::Limits limits = {});

    void requested(PolicyKey key, TimePoint now) override;
    void insert(Slot slot, PolicyKey key, std::uint64_t bytes) override;
    void hit(Slot slot) override;
    void remove(Slot slot) override;
    Slot victim(const MayEvict& may_evict, TimePoint now) override;
    bool admits(PolicyKey newcomer, Slot victim, TimePoint now) override;

    void learn_file(FileId file, std::span<const PolicyKey> chunks) override;
    void reader_at(ReaderId reader, PolicyKey chunk, TimePoint now) override;
    void reader_left(ReaderId reader) override;
    std::size_t foreseeable() const override { return forecast_.names(); }

 private:
    /// Seconds; until the next use, or for `due` the time of it since the first request.
    struct Expectation {
        bool due = false;
        double seconds = 0;
    };
    /// In which order a slot stands.
    enum class Order : std::uint8_t { kNone, kDue, kWaits };
    struct Entry {
        PolicyKey key = 0;
        double seconds = 0;  // of its expectation
    };

    Expectation expectation_of(PolicyKey key) const;
    Expectation noted(Slot slot) const;
    static bool same_place(const Expectation& one, const Expectation& other);
    double wait_of(const Expectation& expected) const;
    void put_in_order(Slot slot, const Expectation& expected);
    void take_out(Slot slot);
    void refresh(Slot slot);
    void refresh(std::span<const PolicyKey> chunks);
    Slot last(const MayEvict& may_evict) const;

    const SlotFinder find_slot_;
    ReaderForecast forecast_;
    FrequencySketch sketch_;
    std::vector<Entry> entries_;
    std::vector<Order> orders_;  // apart: a byte for each stays in the processor's cache
    std::vector<SlotLink> links_;
    DueOrder due_{links_};     // by when a reader comes
    WaitOrder waits_{links_};  // by how long it usually takes
    Slot sweep_ = 0;
    std::uint64_t requests_ = 0;
    std::optional<TimePoint> first_at_;
    TimePoint now_{};
};

}  // namespace kollator::cache
