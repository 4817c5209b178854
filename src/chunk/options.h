#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/metrics.h"
#include "base/time.h"

namespace kollator::chunk {

struct ChunkServiceOptions {
    std::uint32_t max_chunk_bytes = 5U << 20;
    std::uint32_t max_metadata_bytes = 8U << 20;

    /// Chunks on their way from the object store, and those that the cache could not take while
    /// they are read: 25 of 5 MiB.
    std::size_t fetch_budget_bytes = 128U << 20;
    /// Chunks on their way from clients to the object store.
    std::size_t upload_budget_bytes = 128U << 20;

    /// Chunks ahead of a reader that goes through a file in order, at most; 0: none.
    std::size_t prefetch_depth = 8;
    /// Chunks on their way or held for such readers, a part of the fetch budget: 12 of 5 MiB.
    std::uint64_t prefetch_budget_bytes = 64U << 20;
    /// Chunks of which somebody read a part and that the cache did not take: held for so long, and
    /// six of 5 MiB.
    std::size_t linger_bytes = 32U << 20;
    Duration linger_time = std::chrono::seconds(5);

    std::size_t max_fetches = 1024;        ///< under way and waiting for the budget
    std::size_t max_fetch_readers = 4096;  ///< readers of all fetches together
    Duration fetch_queue_timeout = std::chrono::seconds(10);  ///< waiting for the budget: kLimit
    std::size_t max_uploads = 256;
    std::size_t max_lists = 32;

    /// Names known to be in the object store; about 150 bytes each.
    std::size_t max_known_stored = 200'000;
    /// For so long "the object store has it" is told without asking again.
    Duration stored_ttl = std::chrono::minutes(10);
    /// And for so long a store of the same bytes is acknowledged without asking: a promise, and
    /// whoever shares the bucket may have deleted the object.
    Duration stored_promise_ttl = std::chrono::minutes(1);
    /// What a fellow worker has given out is in its cache, and was read there just now: for so long
    /// that is told to who asks where it is, where this worker does not have it any more.
    std::size_t max_known_at_fellows = 20'000;
    Duration at_fellow_ttl = std::chrono::minutes(1);
    /// Names that the object store does not have are not asked for again so soon.
    std::size_t max_known_missing = 10'000;
    Duration missing_ttl = std::chrono::seconds(2);

    std::size_t stat_parallel = 16;  ///< object store look-ups at once, of all who ask
    std::size_t max_stat_queries = 256;
    Duration stat_timeout = std::chrono::seconds(5);
};

struct ChunkServiceStats {
    std::uint64_t hits = 0;            ///< opened from the cache
    std::uint64_t misses = 0;          ///< opened with a fetch
    std::uint64_t fetches = 0;         ///< GETs begun
    std::uint64_t shared_fetches = 0;  ///< opened on a fetch that was there already
    std::uint64_t fetched_bytes = 0;   ///< verified
    std::uint64_t cancelled_fetches = 0;
    std::uint64_t healed_reads = 0;  ///< went on from the object store after a cached chunk failed
    std::uint64_t verify_failures = 0;  ///< bytes of the object store that did not match their name
    std::uint64_t refused_uploads = 0;  ///< bytes of clients that did not match their name
    std::uint64_t uploads = 0;
    std::uint64_t uploaded_bytes = 0;
    std::uint64_t already_there = 0;    ///< stores answered without an upload
    std::uint64_t served_bytes = 0;     ///< given out by readers
    std::uint64_t denied = 0;           ///< reads and stores refused by the denylist
    std::uint64_t purged = 0;           ///< cached chunks and metadata dropped because of it
    std::uint64_t prefetches = 0;       ///< begun ahead of any request
    std::uint64_t prefetch_useful = 0;  ///< of these, asked for
    std::uint64_t cached_bytes = 0;     ///< of served_bytes, from the cache
    std::uint64_t hint_names = 0;       ///< asked about by clients that choose what to fetch next
    std::uint64_t hint_resident = 0;    ///< of these, told as cached here
    std::uint64_t hinted_requests = 0;  ///< for what somebody had been told is cached here
    std::uint64_t hinted_hits = 0;      ///< of these, still cached
    std::uint64_t repairs = 0;          ///< damaged chunks of the cache, fetched anew
    std::uint64_t repair_failures = 0;
    std::uint64_t prefetch_wasted = 0;  ///< of these, failed or let go before anybody asked
};

/// The same counts as metrics and as numbers. Loop thread only.
class Tally {
 public:
    explicit Tally(MetricsRegistry& metrics);

    class Count {
     public:
        Count(MetricsRegistry& metrics, const char* name, const char* help)
            : counter_(metrics.counter(name, help)) {}
        void add(std::uint64_t amount = 1) {
            value_ += amount;
            counter_.add(static_cast<double>(amount));
        }
        std::uint64_t value() const { return value_; }

     private:
        Counter counter_;
        std::uint64_t value_ = 0;
    };

    Count hits, misses, fetches, shared_fetches, fetched_bytes, cancelled_fetches, healed_reads,
        verify_failures, refused_uploads, uploads, uploaded_bytes, already_there, served_bytes,
        denied, purged, prefetches, prefetch_useful, prefetch_wasted, cached_bytes, hint_names,
        hint_resident, hinted_requests, hinted_hits, repairs, repair_failures;

    ChunkServiceStats stats() const;
};

}  // namespace kollator::chunk
