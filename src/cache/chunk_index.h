#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::cache {

/// One chunk of the index.
struct IndexItem {
    ChunkId id;
    std::uint32_t size_bytes = 0;     ///< of the chunk
    std::uint64_t charged_bytes = 0;  ///< of its file: what counts against the bound
    std::uint64_t hits = 0;
    std::int64_t last_used_ns = 0;  ///< wall clock, since 1970; never decreases towards newer items
};

/// Somebody asked for a chunk that is to be taken in.
struct Newcomer {
    ChunkId id;
    TimePoint now{};
};

enum class Reservation : std::uint8_t {
    kHeld,
    kNoRoom,    ///< all that is there is in use
    kNotWorth,  ///< what is there will be asked for sooner
};

/// Which chunks are cached, in which order they were used, and how many bytes they may take; which
/// one goes is the policy's to say. Pure: no I/O, no clock; one thread at a time.
///
/// Invariants:
///   used = items' charges + reservations; used <= max, but for what hold() forced upon it
///   order_ holds every item once, least recently used first, pinned ones included
///   an item with pins is never given out by reserve(), evict(), expire() or clear()
///   the policy knows every item, by its slot
///
/// A balanced tree rather than a hash map: strangers choose the names, and list() wants them
/// sorted.
class ChunkIndex {
 public:
    explicit ChunkIndex(std::uint64_t max_bytes, PolicyKind policy = PolicyKind::kLru);
    ChunkIndex(const ChunkIndex&) = delete;
    ChunkIndex& operator=(const ChunkIndex&) = delete;

    /// Good until the item is removed. No use is counted.
    const IndexItem* find(const ChunkId& id) const;
    std::size_t count() const { return items_.size(); }
    std::uint64_t used_bytes() const { return item_bytes_ + reserved_bytes_; }
    std::uint64_t item_bytes() const { return item_bytes_; }
    std::uint64_t max_bytes() const { return max_bytes_; }

    /// Somebody asked for a chunk, cached or not; before touch() or reserve().
    void requested(const ChunkId& id, TimePoint now);

    // What the policy may look ahead by.
    void learn_file(const std::vector<ChunkId>& chunks);
    void reader_at(ReaderId reader, const ChunkId& id, TimePoint now);
    void reader_left(ReaderId reader) { policy_->reader_left(reader); }
    std::size_t foreseeable() const { return policy_->foreseeable(); }

    /// Makes room for `bytes` and keeps it: what the policy gives up is removed and appended to
    /// `evicted`. Where it gives kNoRoom or kNotWorth, nothing is removed. Without a newcomer
    /// nobody asks whether it is worth it.
    Reservation reserve(std::uint64_t bytes, const std::optional<Newcomer>& newcomer,
                        std::vector<IndexItem>& evicted);
    /// Gives a reservation, or a part of one, back. REQUIRES: it is held.
    void release(std::uint64_t bytes);
    /// Reserves without asking: for bytes that are on the disk whether we like it or not.
    void hold(std::uint64_t bytes) { reserved_bytes_ += bytes; }

    /// Turns a reservation of item.charged_bytes into the most recently used item.
    /// REQUIRES: the reservation is held; no item has this id.
    void commit(IndexItem item);

    /// Counts a use and makes the item the most recently used. REQUIRES: it is there.
    void touch(const ChunkId& id, std::int64_t now_ns);
    void pin(const ChunkId& id);
    void unpin(const ChunkId& id);

    /// REQUIRES: it is there.
    IndexItem remove(const ChunkId& id);
    /// As remove, but its bytes stay reserved: readers still hold the file. Release them later.
    IndexItem detach(const ChunkId& id);

    /// Removes and gives unpinned items: those that the policy gives up first, worth at least
    /// `bytes` (or all there are); those last used before a time; all.
    std::vector<IndexItem> evict(std::uint64_t bytes);
    std::vector<IndexItem> expire(std::int64_t before_ns);
    std::vector<IndexItem> clear();

    /// Up to `limit` items with an id greater than `after`, ascending.
    std::vector<IndexItem> list(const ChunkId& after, std::size_t limit) const;
    /// Least recently used first.
    void for_each(const std::function<void(const IndexItem&)>& each) const;

 private:
    struct Node {
        IndexItem item;
        unsigned pins = 0;
        Slot slot = kNoSlot;
        std::list<Node*>::iterator position;
    };
    using Map = std::map<ChunkId, Node>;

    Node& node(const ChunkId& id);
    Slot take_slot(Node& node);
    Slot victim();
    std::int64_t in_order(std::int64_t now_ns);
    /// Removes from the oldest on, skipping pinned ones, for as long as `wanted` says so.
    std::vector<IndexItem> take_oldest(const std::function<bool(const IndexItem&)>& wanted);

    const std::uint64_t max_bytes_;
    std::uint64_t item_bytes_ = 0;
    std::uint64_t pinned_bytes_ = 0;  // a part of item_bytes_
    std::uint64_t reserved_bytes_ = 0;
    std::int64_t newest_ns_ = 0;
    TimePoint now_{};
    Map items_;
    std::list<Node*> order_;
    std::vector<Node*> slots_;  // null: free
    std::vector<Slot> free_slots_;
    std::unordered_map<PolicyKey, Slot> keys_;
    const std::unique_ptr<EvictionPolicy> policy_;
};

}  // namespace kollator::cache
