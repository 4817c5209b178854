#include "app/cache_history.h"

#include <algorithm>
#include <iterator>

namespace kollator::app {

CacheCounts operator-(const CacheCounts& later, const CacheCounts& earlier) {
    return {later.hits - earlier.hits,
            later.misses - earlier.misses,
            later.insertions - earlier.insertions,
            later.evictions - earlier.evictions,
            later.served_bytes - earlier.served_bytes,
            later.cached_bytes - earlier.cached_bytes};
}

void CacheHistory::sample(TimePoint now, const CacheCounts& counts) {
    if (!samples_.empty() && now - samples_.back().at < kInterval) return;
    samples_.push_back({now, counts});
    // One that is older than the longest window is what that is counted from.
    while (samples_.size() > 1 && now - samples_[1].at >= kLongest) samples_.pop_front();
}

CacheCounts CacheHistory::since(TimePoint now, Duration window, const CacheCounts& counts) const {
    const auto after = std::find_if(samples_.begin(), samples_.end(),
                                    [&](const Sample& sample) { return now - sample.at < window; });
    if (after == samples_.begin()) return samples_.empty() ? counts : counts - samples_[0].counts;
    return counts - std::prev(after)->counts;
}

}  // namespace kollator::app
