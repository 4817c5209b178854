#include "app/cache_upkeep.h"

#include "loop/system_clock.h"

namespace kollator::app {
namespace {

cache::ScrubOptions scrub_options(const CacheUpkeep::Parts& parts) {
    cache::ScrubOptions options;
    options.folder = parts.folder;
    options.interval = parts.config.scrub_interval;
    options.max_bytes_per_second = parts.config.scrub_bytes_per_second;
    return options;
}

std::optional<http::ChunkUse> to_chunk_use(const std::optional<cache::CacheUse>& use) {
    if (!use) return std::nullopt;
    return http::ChunkUse{use->id, use->hits};
}

http::CacheRates to_rates(const CacheCounts& counts) {
    return {counts.hits,      counts.misses,       counts.insertions,
            counts.evictions, counts.served_bytes, counts.cached_bytes};
}

/// Brings a counter up to a sum that only grows.
void bring_to(Counter& counter, std::uint64_t sum) {
    const double missing = static_cast<double>(sum) - counter.value();
    if (missing > 0) counter.add(missing);
}

}  // namespace

CacheUpkeep::CacheUpkeep(const Parts& parts)
    : cache_(parts.disk_cache),
      chunks_(parts.chunks),
      scrubber_(parts.loop, parts.jobs, posix_file_system(), system_clock(), parts.disk_cache,
                scrub_options(parts), [this](const ChunkId& id) { chunks_.repair(id); }),
      sample_timer_(parts.loop),
      size_bytes_(parts.metrics.gauge("kollator_cache_size_bytes", "On the disk, of chunks")),
      chunks_now_(parts.metrics.gauge("kollator_cache_chunks", "Chunks cached")),
      bypassed_(parts.metrics.gauge("kollator_cache_bypassed",
                                    "1 while the cache's folder cannot be used")),
      scrub_share_(parts.metrics.gauge("kollator_scrub_pass_ratio",
                                       "How much of the scrub's pass is done, 0 to 1")),
      insertions_(parts.metrics.counter("kollator_cache_insertions_total", "Chunks taken in")),
      rejections_(parts.metrics.counter("kollator_cache_rejections_total",
                                        "Chunks not taken in: what was there is worth more")),
      evictions_(parts.metrics.counter("kollator_cache_evictions_total", "Chunks given up")),
      corruptions_(parts.metrics.counter("kollator_cache_corruptions_total",
                                         "Damaged chunks found, by readers and by the scrub")),
      scrubbed_(parts.metrics.counter("kollator_scrub_checked_total", "Chunks scrubbed")),
      scrub_damaged_(parts.metrics.counter("kollator_scrub_damaged_total",
                                           "Damaged chunks that the scrub found")) {
    sample();
}

CacheCounts CacheUpkeep::counts() const {
    const cache::CacheStats cached = cache_.stats();
    const chunk::ChunkServiceStats served = chunks_.stats();
    return {cached.hits,      cached.misses,       cached.insertions,
            cached.evictions, served.served_bytes, served.cached_bytes};
}

void CacheUpkeep::sample() {
    history_.sample(system_clock().now(), counts());
    sample_timer_.start_after(CacheHistory::kInterval, [this] { sample(); });
}

void CacheUpkeep::fill(http::CacheReport& report) const {
    const cache::CacheStats cached = cache_.stats();
    report.rejections = cached.rejections;
    report.foreseeable = cached.foreseeable;
    report.corruptions = cached.corruptions;
    report.put_aside = cached.put_aside;
    report.size_bytes = cached.size_bytes;
    report.max_bytes = cached.max_bytes;
    report.chunks = cached.chunks;
    report.bypassed = cached.bypassed;
    report.loading = cached.loading;
    const cache::CacheUses uses = cache_.uses();
    report.most_accessed = to_chunk_use(uses.most_accessed);
    report.least_accessed = to_chunk_use(uses.least_accessed);

    const TimePoint now = system_clock().now();
    const CacheCounts all = counts();
    report.rates = to_rates(all);
    for (const int minutes : {1, 5, 60}) {
        report.rates_of_late.emplace_back(
            minutes, to_rates(history_.since(now, std::chrono::minutes(minutes), all)));
    }

    const chunk::ChunkServiceStats served = chunks_.stats();
    report.repairs = served.repairs;
    report.repair_failures = served.repair_failures;
    report.prefetch = {served.prefetches, served.prefetch_useful, served.prefetch_wasted,
                       chunks_.prefetches_held()};
    report.hints = {served.hint_names, served.hint_resident, served.hinted_requests,
                    served.hinted_hits};
    const cache::ScrubStats scrub = scrubber_.stats();
    if (!scrub.enabled) return;
    report.scrub = {scrub.share_done,         scrub.bytes_per_second,    scrub.state.passes,
                    scrub.state.checked,      scrub.state.checked_bytes, scrub.state.damaged,
                    scrub.state.pass_began_s, scrub.state.pass_ended_s};
}

void CacheUpkeep::update_metrics() {
    const cache::CacheStats cached = cache_.stats();
    size_bytes_.set(static_cast<double>(cached.size_bytes));
    chunks_now_.set(static_cast<double>(cached.chunks));
    bypassed_.set(cached.bypassed ? 1 : 0);
    bring_to(insertions_, cached.insertions);
    bring_to(rejections_, cached.rejections);
    bring_to(evictions_, cached.evictions);
    bring_to(corruptions_, cached.corruptions);
    const cache::ScrubStats scrub = scrubber_.stats();
    scrub_share_.set(scrub.share_done);
    bring_to(scrubbed_, scrub.state.checked);
    bring_to(scrub_damaged_, scrub.state.damaged);
}

}  // namespace kollator::app
