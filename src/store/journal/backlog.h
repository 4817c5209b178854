#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "store/journal/journal_files.h"

namespace kollator::store {

struct BacklogOptions {
    std::uint64_t max_bytes = 1000ULL * 1000 * 1000;  ///< of the files, in whole blocks
    std::size_t max_sending = 8;                      ///< objects on their way at once
    /// Their bodies, which are in memory; one object may always be on its way.
    std::uint64_t max_sending_bytes = 64ULL << 20;
    /// After a failure: doubled from one to the next in a row.
    Duration min_pause = std::chrono::seconds(1);
    Duration max_pause = std::chrono::minutes(1);
};

/// A pending object.
struct PendingObject {
    JournalFile file;
    bool sending = false;
    bool held = false;      ///< being removed: not to be sent
    bool replaced = false;  ///< a newer version came while it was being sent
    unsigned failures = 0;
    TimePoint not_before{};
};

/// What is pending, how much room it takes, and what is sent next. Pure: no I/O, no clock.
///
///     reserve() → add() → next() → sent()
///         |                 ↑   ↘
///      release()            └── failed()   (with a pause: see below)
///
/// Invariants:
///   used = charges of the pending + reservations; reserve() keeps used <= max
///   by_key_ names the newest version of each object; an older one is there only while it is sent
///   at most one version of an object is sent at a time, so that the newest arrives last
///
/// A failure pauses all sending: the object store is taken to be away. After the pause one object
/// is tried at a time, until one arrives. The object that failed is passed over for as long as its
/// own failures say, so that one that is never taken does not stop those behind it.
class Backlog {
 public:
    /// `random` outlives it.
    Backlog(Random& random, BacklogOptions options) : random_(random), options_(options) {}

    /// Room for an object's file. False where the bound would be passed.
    bool reserve(std::uint64_t size_bytes);
    void release(std::uint64_t size_bytes);
    /// Turns a reservation into a pending object; an older version of it goes.
    void add(const JournalFile& file);
    /// What a restart found: never refused, even where the bound has become smaller.
    void restore(const JournalFile& file);

    const PendingObject* find(const ObjectKey& key) const;
    std::vector<ListEntry> list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                std::size_t limit) const;

    /// The oldest object that may be sent now; it counts as being sent from then on.
    std::optional<JournalFile> next(TimePoint now);
    /// When next() is worth asking again; empty where that takes another event.
    std::optional<TimePoint> next_time(TimePoint now) const;

    /// It has arrived, or never can (`drop`: damaged, or removed). True where its file is still
    /// there: it goes next, and its room stays taken until release() says so.
    bool sent(std::uint64_t number);
    bool drop(std::uint64_t number);
    void failed(std::uint64_t number, TimePoint now);
    /// Ends all pauses.
    void hurry();

    void hold(const ObjectKey& key, bool held);

    /// Names that are not sent for as long as `filter` says so; they stay, and take their room.
    using Filter = std::function<bool(const ObjectKey&)>;
    void withhold(Filter filter) { filter_ = std::move(filter); }
    bool withheld(const ObjectKey& key) const { return filter_ && filter_(key); }
    std::size_t withheld_count() const;
    /// It was to be sent and is not: without a failure.
    void put_back(std::uint64_t number);
    bool sending(const ObjectKey& key) const { return sending_keys_.contains(key); }

    std::size_t count() const { return by_key_.size(); }
    std::size_t sending_count() const { return sending_keys_.size(); }
    std::uint64_t used_bytes() const { return used_bytes_; }
    std::uint64_t max_bytes() const { return options_.max_bytes; }
    /// The wall clock time of the oldest one that is to be sent.
    std::optional<std::int64_t> oldest_ns() const;
    std::uint64_t next_number() { return next_number_++; }

    /// What a file takes on the disk: whole blocks, so that many small objects are bounded too.
    static std::uint64_t charge_of(std::uint64_t size_bytes);

 private:
    void insert(const JournalFile& file);
    void end_sending(PendingObject& object);
    bool erase(std::uint64_t number);
    Duration pause_after(unsigned failures);

    Random& random_;
    const BacklogOptions options_;

    std::map<std::uint64_t, PendingObject> objects_;  // by number: the oldest first
    std::map<ObjectKey, std::uint64_t> by_key_;
    std::set<ObjectKey> sending_keys_;
    std::uint64_t sending_bytes_ = 0;
    std::uint64_t used_bytes_ = 0;
    std::uint64_t next_number_ = 1;
    Filter filter_;
    unsigned failures_ = 0;  // pauses in a row
    TimePoint paused_until_{};
};

}  // namespace kollator::store
