#include "chunk/options.h"

namespace kollator::chunk {

Tally::Tally(MetricsRegistry& metrics)
    : hits(metrics, "kollator_chunk_hits_total", "Blobs opened from the cache"),
      misses(metrics, "kollator_chunk_misses_total", "Blobs that the cache did not have"),
      fetches(metrics, "kollator_chunk_fetches_total", "GETs begun at the object store"),
      shared_fetches(metrics, "kollator_chunk_shared_fetches_total",
                     "Readers that joined a fetch under way"),
      fetched_bytes(metrics, "kollator_chunk_fetched_bytes_total", "Bytes fetched and verified"),
      cancelled_fetches(metrics, "kollator_chunk_cancelled_fetches_total",
                        "Fetches given up because nobody read them any more"),
      healed_reads(metrics, "kollator_chunk_healed_reads_total",
                   "Readers that went on from the object store when a cached chunk failed"),
      verify_failures(metrics, "kollator_chunk_verify_failures_total",
                      "Objects whose bytes did not match their name"),
      refused_uploads(metrics, "kollator_chunk_refused_uploads_total",
                      "Uploads whose bytes did not match their name"),
      uploads(metrics, "kollator_chunk_uploads_total", "Objects put into the object store"),
      uploaded_bytes(metrics, "kollator_chunk_uploaded_bytes_total", "Bytes of those"),
      already_there(metrics, "kollator_chunk_already_there_total",
                    "Uploads that the object store had already"),
      served_bytes(metrics, "kollator_chunk_served_bytes_total", "Bytes given to readers"),
      denied(metrics, "kollator_chunk_denied_total", "Reads and stores refused by the denylist"),
      purged(metrics, "kollator_chunk_purged_total",
             "Cached chunks and metadata dropped because of the denylist"),
      prefetches(metrics, "kollator_prefetch_started_total",
                 "Chunks fetched ahead of a reader's request"),
      prefetch_useful(metrics, "kollator_prefetch_useful_total",
                      "Chunks fetched ahead that were asked for"),
      prefetch_wasted(metrics, "kollator_prefetch_wasted_total",
                      "Chunks fetched ahead that failed or were let go unread"),
      cached_bytes(metrics, "kollator_chunk_served_cached_bytes_total",
                   "Bytes given to readers from the cache"),
      hint_names(metrics, "kollator_hint_names_total",
                 "Chunks that clients asked about before they chose what to fetch next"),
      hint_resident(metrics, "kollator_hint_resident_total", "Of these, told as cached here"),
      hinted_requests(metrics, "kollator_hint_requests_total",
                      "Requests for chunks that somebody had been told are cached here"),
      hinted_hits(metrics, "kollator_hint_hits_total", "Of these, found in the cache"),
      repairs(metrics, "kollator_cache_repairs_total",
              "Cached chunks that the scrubber found damaged, fetched anew"),
      repair_failures(metrics, "kollator_cache_repair_failures_total",
                      "Such fetches that failed: the next request tries again") {}

ChunkServiceStats Tally::stats() const {
    ChunkServiceStats stats;
    stats.hits = hits.value();
    stats.misses = misses.value();
    stats.fetches = fetches.value();
    stats.shared_fetches = shared_fetches.value();
    stats.fetched_bytes = fetched_bytes.value();
    stats.cancelled_fetches = cancelled_fetches.value();
    stats.healed_reads = healed_reads.value();
    stats.verify_failures = verify_failures.value();
    stats.refused_uploads = refused_uploads.value();
    stats.uploads = uploads.value();
    stats.uploaded_bytes = uploaded_bytes.value();
    stats.already_there = already_there.value();
    stats.served_bytes = served_bytes.value();
    stats.denied = denied.value();
    stats.purged = purged.value();
    stats.prefetches = prefetches.value();
    stats.prefetch_useful = prefetch_useful.value();
    stats.prefetch_wasted = prefetch_wasted.value();
    stats.cached_bytes = cached_bytes.value();
    stats.hint_names = hint_names.value();
    stats.hint_resident = hint_resident.value();
    stats.hinted_requests = hinted_requests.value();
    stats.hinted_hits = hinted_hits.value();
    stats.repairs = repairs.value();
    stats.repair_failures = repair_failures.value();
    return stats;
}

}  // namespace kollator::chunk
