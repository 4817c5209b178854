#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dht/lookup.h"

namespace kollator::dht {

enum class AnswerSource : std::uint8_t { kCache, kNetwork };

struct PeerFinderOptions {
    bool v4 = true;
    bool v6 = false;
    Duration found_ttl = std::chrono::seconds(60);
    Duration missing_ttl = std::chrono::seconds(10);
    /// Whoever waits is answered then, with what there is.
    Duration deadline = std::chrono::seconds(4);
    /// After the answer for the shard, how long the chunk's own record is waited for.
    Duration shard_grace = std::chrono::milliseconds(250);
    std::size_t max_cached = 4096;  ///< keys; each up to 256 peers of 20 bytes
    /// Look-ups at once, about 20 KB each; those whose asker has its answer go on for a second or
    /// two where nodes are dead.
    std::size_t max_active = 512;
    std::size_t max_waiting = 4096;
    /// Told of each find_either() that was answered with peers, or with that there are none.
    std::function<void(Duration took, AnswerSource)> on_answer{};
};

struct PeerFinderStats {
    std::uint64_t asked = 0;       ///< find() calls
    std::uint64_t cached = 0;      ///< answered from the cache
    std::uint64_t shared = 0;      ///< joined a look-up that was under way
    std::uint64_t refused = 0;     ///< kLimit
    std::uint64_t lookups = 0;     ///< that ended
    std::uint64_t found = 0;       ///< of those, with peers
    std::uint64_t unanswered = 0;  ///< of those, no node answered at all
    std::size_t active = 0;
    std::size_t cached_keys = 0;
};

/// Peers of a key: from a short-lived cache, or by a look-up that all who ask share. Whoever asks
/// gets the first peers as soon as they are known; those that come later are in the cache. Sans-IO;
/// one thread.
class PeerFinder {
 public:
    using Peers = std::vector<Endpoint>;
    /// No peers: nobody announced the key. kLimit: too many look-ups; kUnavailable: no node is
    /// known; kTimeout: none answered.
    /// Runs once, from advance() or an answer, never before find() returned.
    using OnFound = std::function<void(TimePoint now, Result<Peers>)>;
    using Seeds = std::function<std::vector<Contact>(const InfoHash&, bool v6)>;
    using OnOutcome = std::function<void(const InfoHash&, const LookupOutcome&)>;

    /// `queue` outlives it; `on_outcome` is told of each look-up that ended.
    PeerFinder(QueryQueue& queue, PeerFinderOptions options, Seeds seeds, OnOutcome on_outcome);
    ~PeerFinder();
    PeerFinder(const PeerFinder&) = delete;
    PeerFinder& operator=(const PeerFinder&) = delete;

    /// Gives whether the cache has the answer.
    AnswerSource find(TimePoint now, const InfoHash& key, OnFound on_found);
    /// As find(), and where `key` has no peers, those of `shard`: both are looked for at once.
    void find_either(TimePoint now, const InfoHash& key, const InfoHash& shard, OnFound on_found);

    void advance(TimePoint now);
    TimePoint next_due(TimePoint now) const;
    PeerFinderStats stats() const;

 private:
    struct Entry {
        InfoHash key;
        Peers peers;
        bool reached = false;     // some node answered
        TimePoint deadline{};     // while it looks
        TimePoint expires{};      // once it has ended
        std::size_t looking = 0;  // look-ups under way, one a family
        std::unique_ptr<Lookup> lookups[2];
        std::vector<OnFound> waiting;

        /// Ended, and out of under_way_.
        bool done() const { return looking == 0 && !lookups[0] && !lookups[1]; }
    };
    using Entries = std::list<Entry>;  // in the order of their beginning
    struct Either;

    void begin(TimePoint now, Entry& entry);
    void on_peers(TimePoint now, const InfoHash& key, const Peers& peers);
    void on_done(TimePoint now, const InfoHash& key, const LookupOutcome& outcome);
    void answer(TimePoint now, Entry& entry);
    void later(OnFound on_found, Result<Peers> result);
    void erase(Entries::iterator entry);
    bool make_room();

    // injected
    QueryQueue& queue_;
    const PeerFinderOptions options_;
    const Seeds seeds_;
    const OnOutcome on_outcome_;

    // state
    Entries entries_;
    std::unordered_map<InfoHash, Entries::iterator, KeyedHash> index_;
    std::vector<std::pair<OnFound, Result<Peers>>> answers_;
    std::list<std::shared_ptr<Either>> eithers_;  // those whose shard answered first
    std::vector<InfoHash> under_way_;             // entries with look-ups
    std::size_t active_ = 0;
    std::size_t waiting_ = 0;
    PeerFinderStats stats_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::dht
