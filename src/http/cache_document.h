#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace kollator::http {

struct ChunkUse {
    ChunkId id;
    std::uint64_t hits = 0;
};

/// What was counted in some time.
struct CacheRates {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t insertions = 0;
    std::uint64_t evictions = 0;
    std::uint64_t served_bytes = 0;
    std::uint64_t cached_bytes = 0;  ///< of served_bytes, from the cache
};

/// What /stats tells of the disk cache, and of what is fetched for it.
struct CacheReport {
    CacheRates rates;                                       ///< since the start
    std::vector<std::pair<int, CacheRates>> rates_of_late;  ///< by minutes
    std::uint64_t rejections = 0;
    std::uint64_t foreseeable = 0;
    std::uint64_t corruptions = 0;
    std::uint64_t repairs = 0;
    std::uint64_t repair_failures = 0;
    std::uint64_t put_aside = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t max_bytes = 0;
    std::uint64_t chunks = 0;
    bool bypassed = false;
    bool loading = false;  ///< being indexed
    std::optional<ChunkUse> most_accessed;
    std::optional<ChunkUse> least_accessed;
    struct Prefetch {
        std::uint64_t started = 0;
        std::uint64_t useful = 0;
        std::uint64_t wasted = 0;
        std::uint64_t held = 0;  ///< now: on their way, or waiting for their readers
    } prefetch;
    struct Hints {
        std::uint64_t asked = 0;     ///< names
        std::uint64_t resident = 0;  ///< told as cached
        std::uint64_t requests = 0;  ///< for chunks that somebody had been told are cached
        std::uint64_t hits = 0;
    } hints;
    struct Scrub {
        double share_done = 0;
        double bytes_per_second = 0;
        std::uint64_t passes = 0;
        std::uint64_t checked = 0;
        std::uint64_t checked_bytes = 0;
        std::uint64_t damaged = 0;
        std::int64_t pass_began_s = 0;  ///< since 1970; 0: never
        std::int64_t pass_ended_s = 0;
    };
    std::optional<Scrub> scrub;  ///< where it is on
};

/// Who reads a document: names of chunks are for admins, since a name is all that a download takes.
enum class Reader : std::uint8_t { kAnyone, kAdmin };

/// hitRate and missRate are shares of the look-ups, evictionRate of the insertions, byteHitRate of
/// the bytes given out, 0 to 1; 0 where there was none.
nlohmann::json cache_json(const CacheReport& cache, Reader reader);

/// "0B", "12KB", "287MB", "1.5GB": decimal units, as CACHE_SIZE_MB counts them.
std::string human_size(std::uint64_t size_bytes);

}  // namespace kollator::http
