#include "http/cache_document.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kollator::http {
namespace {

using nlohmann::json;

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

json use_json(const std::optional<ChunkUse>& use, Reader reader) {
    if (!use) return nullptr;
    if (reader != Reader::kAdmin) return {{"hash", nullptr}, {"hits", use->hits}};
    return {{"hash", use->id.hex()}, {"hits", use->hits}};
}

json rates_json(const CacheRates& rates) {
    const std::uint64_t lookups = rates.hits + rates.misses;
    return {{"hitRate", share(rates.hits, lookups)},
            {"missRate", share(rates.misses, lookups)},
            {"evictionRate", share(rates.evictions, rates.insertions)},
            {"byteHitRate", share(rates.cached_bytes, rates.served_bytes)},
            {"hits", rates.hits},
            {"misses", rates.misses},
            {"insertions", rates.insertions},
            {"evictions", rates.evictions},
            {"servedBytes", rates.served_bytes},
            {"cachedBytes", rates.cached_bytes}};
}

json scrub_json(const std::optional<CacheReport::Scrub>& scrub) {
    if (!scrub) return nullptr;
    const auto time = [](std::int64_t seconds) { return seconds == 0 ? json() : json(seconds); };
    return {{"shareDone", scrub->share_done},
            {"bytesPerSecond", scrub->bytes_per_second},
            {"passes", scrub->passes},
            {"checked", scrub->checked},
            {"checkedBytes", scrub->checked_bytes},
            {"damaged", scrub->damaged},
            {"passBegan", time(scrub->pass_began_s)},
            {"passEnded", time(scrub->pass_ended_s)}};
}

}  // namespace

json cache_json(const CacheReport& cache, Reader reader) {
    json document = rates_json(cache.rates);
    document.update({{"rejections", cache.rejections},
                     {"foreseeableChunks", cache.foreseeable},
                     {"corruptions", cache.corruptions},
                     {"repairs", cache.repairs},
                     {"repairFailures", cache.repair_failures},
                     {"putAside", cache.put_aside},
                     {"size", human_size(cache.size_bytes)},
                     {"sizeBytes", cache.size_bytes},
                     {"maxBytes", cache.max_bytes},
                     {"chunks", cache.chunks},
                     {"bypassed", cache.bypassed},
                     {"loading", cache.loading},
                     {"mostAccessed", use_json(cache.most_accessed, reader)},
                     {"leastAccessed", use_json(cache.least_accessed, reader)}});
    document["prefetch"] = {{"started", cache.prefetch.started},
                            {"useful", cache.prefetch.useful},
                            {"wasted", cache.prefetch.wasted},
                            {"held", cache.prefetch.held}};
    document["hints"] = {{"asked", cache.hints.asked},
                         {"resident", cache.hints.resident},
                         {"requests", cache.hints.requests},
                         {"hits", cache.hints.hits}};
    document["scrub"] = scrub_json(cache.scrub);
    json& of_late = document["lastMinutes"] = json::object();
    for (const auto& [minutes, rates] : cache.rates_of_late) {
        of_late[std::to_string(minutes)] = rates_json(rates);
    }
    return document;
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
