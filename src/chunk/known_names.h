#pragma once

#include <deque>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/siphash.h"
#include "base/time.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// Keyed: strangers choose the names.
struct ObjectKeyHash {
    std::size_t operator()(const store::ObjectKey& key) const {
        return siphash(key.hash) ^ static_cast<std::size_t>(key.kind);
    }
};

/// Objects seen in the object store, with their sizes: the most recently used ones. What was seen
/// may be gone: another worker, a person or a rule of the bucket may have deleted it. Used for what
/// fellow workers have, too. Loop thread.
class KnownStored {
 public:
    /// `clock` outlives it.
    KnownStored(const Clock& clock, std::size_t max_count) : clock_(clock), max_count_(max_count) {}

    /// The object store has just said, or shown, that it has the object.
    void note(const store::ObjectKey& key, std::uint64_t size_bytes);
    void forget(const store::ObjectKey& key);
    /// The size, where the object was seen less than `max_age` ago. Counts as a use, not as seen.
    std::optional<std::uint64_t> find(const store::ObjectKey& key, Duration max_age);
    std::size_t count() const { return entries_.size(); }

 private:
    struct Entry {
        store::ObjectKey key;
        std::uint64_t size_bytes = 0;
        TimePoint seen;
    };
    using Order = std::list<Entry>;

    const Clock& clock_;
    const std::size_t max_count_;
    Order order_;  // most recently used first
    std::unordered_map<store::ObjectKey, Order::iterator, ObjectKeyHash> entries_;
};

/// Objects that the object store did not have a moment ago, so that a flood of requests for unknown
/// names does not become a flood of requests to it. Pure.
class KnownMissing {
 public:
    KnownMissing(std::size_t max_count, Duration ttl) : max_count_(max_count), ttl_(ttl) {}

    void note(const store::ObjectKey& key, TimePoint now);
    void forget(const store::ObjectKey& key) { entries_.erase(key); }
    bool contains(const store::ObjectKey& key, TimePoint now) const;
    std::size_t count() const { return entries_.size(); }

 private:
    void drop_old(TimePoint now);

    const std::size_t max_count_;
    const Duration ttl_;
    std::unordered_map<store::ObjectKey, TimePoint, ObjectKeyHash> entries_;  // until when
    std::deque<std::pair<store::ObjectKey, TimePoint>> order_;  // some may have been forgotten
};

}  // namespace kollator::chunk
