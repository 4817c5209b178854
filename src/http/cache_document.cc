#include "http/cache_document.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kollator::http {
namespace {

using nlohmann::json;

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

json use_json(const std::optional<ChunkUse>& use) {
    if (!use) return nullptr;
    return {{"hash", use->id.hex()}, {"hits", use->hits}};
}

}  // namespace

json cache_json(const CacheReport& cache) {
    const std::uint64_t lookups = cache.hits + cache.misses;
    return {{"hitRate", share(cache.hits, lookups)},
            {"missRate", share(cache.misses, lookups)},
            {"evictionRate", share(cache.evictions, cache.insertions)},
            {"hits", cache.hits},
            {"misses", cache.misses},
            {"insertions", cache.insertions},
            {"rejections", cache.rejections},
            {"foreseeableChunks", cache.foreseeable},
            {"evictions", cache.evictions},
            {"corruptions", cache.corruptions},
            {"size", human_size(cache.size_bytes)},
            {"sizeBytes", cache.size_bytes},
            {"maxBytes", cache.max_bytes},
            {"chunks", cache.chunks},
            {"putAside", cache.put_aside},
            {"bypassed", cache.bypassed},
            {"loading", cache.loading},
            {"mostAccessed", use_json(cache.most_accessed)},
            {"leastAccessed", use_json(cache.least_accessed)},
            {"prefetch",
             {{"started", cache.prefetch.started},
              {"useful", cache.prefetch.useful},
              {"wasted", cache.prefetch.wasted},
              {"held", cache.prefetch.held}}}};
}

std::string human_size(std::uint64_t size_bytes) {
    constexpr std::uint64_t kKilo = 1000;
    if (size_bytes < kKilo) return fmt::format("{}B", size_bytes);
    if (size_bytes < kKilo * kKilo) return fmt::format("{}KB", size_bytes / kKilo);
    if (size_bytes < kKilo * kKilo * kKilo) {
        return fmt::format("{}MB", size_bytes / (kKilo * kKilo));
    }
    return fmt::format("{:.1f}GB", static_cast<double>(size_bytes) / 1e9);
}

}  // namespace kollator::http
