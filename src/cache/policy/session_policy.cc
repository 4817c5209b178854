#include "cache/policy/session_policy.h"

#include <algorithm>
#include <utility>

#include "cache/policy/slot_list.h"

namespace kollator::cache {
namespace {

using Seconds = std::chrono::duration<double>;

/// Expectations that are formed anew for one victim: of those that stand to go (each puts one right
/// that was hit since, so few calls need many), and of the next slot, so that none grows old.
constexpr int kMaxLooks = 128;
constexpr int kSweptSlots = 1;
constexpr std::uint64_t kOnce = 1;
/// What was never asked for may be asked for all the same: half as often as what was, once.
constexpr double kUnseen = 0.5;

}  // namespace

SessionPolicy::SessionPolicy(std::uint64_t max_bytes, SlotFinder find_slot,
                             ReaderForecast::Limits limits)
    : find_slot_(std::move(find_slot)),
      forecast_(limits),
      sketch_(FrequencySketch::for_cache(max_bytes)) {}

void SessionPolicy::requested(PolicyKey key, TimePoint now) {
    if (!first_at_) first_at_ = now;
    now_ = std::max(now_, now);
    sketch_.add(key);
    ++requests_;
}

SessionPolicy::Expectation SessionPolicy::expectation_of(PolicyKey key) const {
    if (const auto next_use = forecast_.next_use(key)) {
        return {true, Seconds(*next_use - *first_at_).count()};
    }
    if (const auto wait = forecast_.usual_wait(key, now_)) return {false, Seconds(*wait).count()};
    const Duration history = first_at_ ? now_ - *first_at_ : Duration::zero();
    const double elapsed = Seconds(history + kShortHistory).count();
    const double seconds_a_request = elapsed / static_cast<double>(std::max(requests_, kOnce));
    return {false, sketch_.weight() / (sketch_.estimate(key) + kUnseen) * seconds_a_request};
}

bool SessionPolicy::same_place(const Expectation& one, const Expectation& other) {
    if (one.due != other.due) return false;
    return one.due ? DueOrder::bucket_of(one.seconds) == DueOrder::bucket_of(other.seconds)
                   : WaitOrder::bucket_of(one.seconds) == WaitOrder::bucket_of(other.seconds);
}

double SessionPolicy::wait_of(const Expectation& expected) const {
    return expected.due ? expected.seconds - Seconds(now_ - *first_at_).count() : expected.seconds;
}

SessionPolicy::Expectation SessionPolicy::noted(Slot slot) const {
    return {orders_[slot] == Order::kDue, entries_[slot].seconds};
}

void SessionPolicy::insert(Slot slot, PolicyKey key, std::uint64_t) {
    reach(links_, slot);
    reach(entries_, slot);
    reach(orders_, slot);
    entries_[slot].key = key;
    put_in_order(slot, expectation_of(key));
}

void SessionPolicy::put_in_order(Slot slot, const Expectation& expected) {
    entries_[slot].seconds = expected.seconds;
    orders_[slot] = expected.due ? Order::kDue : Order::kWaits;
    if (expected.due) {
        due_.insert(slot, DueOrder::bucket_of(expected.seconds));
    } else {
        waits_.insert(slot, WaitOrder::bucket_of(expected.seconds));
    }
}

void SessionPolicy::take_out(Slot slot) {
    const Expectation expected = noted(slot);
    if (expected.due) {
        due_.erase(slot, DueOrder::bucket_of(expected.seconds));
    } else {
        waits_.erase(slot, WaitOrder::bucket_of(expected.seconds));
    }
}

// One that no reader is on its way to is only wanted sooner now than where it stands: victim() puts
// it right should it get there. To move it at each hit costs some cache misses, at a million slots
// half of what all else does.
void SessionPolicy::hit(Slot slot) {
    if (orders_[slot] == Order::kDue) refresh(slot);
}

void SessionPolicy::remove(Slot slot) {
    take_out(slot);
    orders_[slot] = Order::kNone;
}

void SessionPolicy::refresh(Slot slot) {
    const Expectation expected = expectation_of(entries_[slot].key);
    // Where it stays in its bucket, its neighbours there are left alone: they are a cache miss
    // each.
    if (same_place(expected, noted(slot))) {
        entries_[slot].seconds = expected.seconds;
        return;
    }
    take_out(slot);
    put_in_order(slot, expected);
}

void SessionPolicy::refresh(std::span<const PolicyKey> chunks) {
    for (const PolicyKey key : chunks) {
        const Slot slot = find_slot_(key);
        if (slot != kNoSlot) refresh(slot);
    }
}

Slot SessionPolicy::last(const MayEvict& may_evict) const {
    const Slot due = due_.last(may_evict);
    const Slot waiting = waits_.last(may_evict);
    if (due == kNoSlot || waiting == kNoSlot) return due == kNoSlot ? waiting : due;
    return wait_of(noted(waiting)) > wait_of(noted(due)) ? waiting : due;
}

Slot SessionPolicy::victim(const MayEvict& may_evict, TimePoint now) {
    now_ = std::max(now_, now);
    for (int swept = 0; swept < kSweptSlots && !entries_.empty(); ++swept) {
        sweep_ = (sweep_ + 1) % static_cast<Slot>(entries_.size());
        if (orders_[sweep_] != Order::kNone) refresh(sweep_);
    }
    for (int looks = 0;; ++looks) {
        const Slot slot = last(may_evict);
        if (slot == kNoSlot || looks == kMaxLooks) return slot;
        const Expectation before = noted(slot);
        refresh(slot);
        if (wait_of(noted(slot)) >= wait_of(before)) return slot;
    }
}

bool SessionPolicy::admits(PolicyKey newcomer, Slot victim, TimePoint now) {
    now_ = std::max(now_, now);
    return wait_of(expectation_of(newcomer)) <= wait_of(noted(victim));
}

void SessionPolicy::learn_file(FileId file, std::span<const PolicyKey> chunks) {
    forecast_.learn(file, chunks);
}

void SessionPolicy::reader_at(ReaderId reader, PolicyKey chunk, TimePoint now) {
    if (!first_at_) first_at_ = now;
    now_ = std::max(now_, now);
    refresh(forecast_.move(reader, chunk, now));
    while (const auto changed = forecast_.drop_silent(now)) refresh(*changed);
}

void SessionPolicy::reader_left(ReaderId reader) {
    while (const auto changed = forecast_.leave(reader)) refresh(*changed);
}

}  // namespace kollator::cache
