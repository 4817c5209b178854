#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/time.h"

namespace kollator::cache {

/// A place in the cache's index, reused when its chunk has gone: small and dense.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;

/// A chunk's name as the policies know it: a keyed 64-bit hash, so that strangers who choose names
/// cannot choose what collides.
using PolicyKey = std::uint64_t;

/// Somebody who goes through files, and a file.
using ReaderId = std::uint64_t;
using FileId = std::uint64_t;

/// Which cached chunk goes next, and whether a newcomer is worth more. Pure: no I/O, no clock; one
/// thread at a time. It is told of everything and removes nothing by itself.
class EvictionPolicy {
 public:
    using MayEvict = std::function<bool(Slot)>;

    virtual ~EvictionPolicy() = default;

    /// Somebody asked for a chunk, cached or not. Comes before hit() or insert().
    virtual void requested(PolicyKey, TimePoint now) { (void)now; }
    /// REQUIRES: the slot is not in use.
    virtual void insert(Slot slot, PolicyKey key, std::uint64_t bytes) = 0;
    /// REQUIRES (as all below that take a slot): it was inserted, and not removed since.
    virtual void hit(Slot slot) = 0;
    virtual void remove(Slot slot) = 0;

    /// Who should go next of those that `may_evict`; kNoSlot where nobody may. May put its own
    /// lists in order, and asks `may_evict` for each slot a few times at most.
    virtual Slot victim(const MayEvict& may_evict, TimePoint now) = 0;

    /// Whether `newcomer`, which somebody just asked for, is worth more than `victim`.
    virtual bool admits(PolicyKey newcomer, Slot victim, TimePoint now) {
        (void)newcomer, (void)victim, (void)now;
        return true;
    }

    // What is known of the near future. Policies that do not look ahead ignore it.

    /// The chunks of a file, in order. The same file again replaces nothing.
    virtual void learn_file(FileId, std::span<const PolicyKey>) {}
    /// A reader asked for a chunk, perhaps of a file that was learnt.
    virtual void reader_at(ReaderId, PolicyKey, TimePoint now) { (void)now; }
    virtual void reader_left(ReaderId) {}
    /// Chunks of which it is known in which file they stand.
    virtual std::size_t foreseeable() const { return 0; }
};

enum class PolicyKind : std::uint8_t { kLru, kS3Fifo, kTinyLfu, kSessionAware };

/// The names that CACHE_POLICY takes: "lru", "s3-fifo", "w-tinylfu", "session-aware".
std::string_view name_of(PolicyKind kind);
std::optional<PolicyKind> policy_named(std::string_view name);

/// Where a cached chunk is; kNoSlot where it is not cached.
using SlotFinder = std::function<Slot(PolicyKey)>;

/// `max_bytes`: what the cache may hold. `find_slot` is asked from within calls of the policy.
std::unique_ptr<EvictionPolicy> make_policy(PolicyKind kind, std::uint64_t max_bytes,
                                            SlotFinder find_slot);

}  // namespace kollator::cache
