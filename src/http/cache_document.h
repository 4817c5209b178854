#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/ids.h"

namespace kollator::http {

struct ChunkUse {
    ChunkId id;
    std::uint64_t hits = 0;
};

/// What /stats tells of the disk cache, and of what is fetched for it.
struct CacheReport {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t insertions = 0;
    std::uint64_t rejections = 0;
    std::uint64_t foreseeable = 0;
    std::uint64_t evictions = 0;
    std::uint64_t corruptions = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t max_bytes = 0;
    std::uint64_t chunks = 0;
    std::uint64_t put_aside = 0;
    bool bypassed = false;
    bool loading = false;  ///< being indexed
    std::optional<ChunkUse> most_accessed;
    std::optional<ChunkUse> least_accessed;
    struct {
        std::uint64_t started = 0;
        std::uint64_t useful = 0;
        std::uint64_t wasted = 0;
        std::uint64_t held = 0;  ///< now: on their way, or waiting for their readers
    } prefetch;
};

/// hitRate and missRate are shares of the look-ups, evictionRate of the insertions, 0 to 1; 0 where
/// there was none.
nlohmann::json cache_json(const CacheReport& cache);

/// "0B", "12KB", "287MB", "1.5GB": decimal units, as CACHE_SIZE_MB counts them.
std::string human_size(std::uint64_t size_bytes);

}  // namespace kollator::http
