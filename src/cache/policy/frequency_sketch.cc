#include "cache/policy/frequency_sketch.h"

#include <algorithm>
#include <array>
#include <bit>

namespace kollator::cache {
namespace {

/// A chunk of full size; most are.
constexpr std::uint64_t kTypicalBytes = 5U << 20;
/// The paper's sample is ten times what the cache holds. A cache of 60 chunks would have forgotten
/// most names before they come again.
constexpr std::uint64_t kSampleFactor = 10;
constexpr std::uint64_t kMinRemembered = 10'000;
constexpr std::size_t kCountersEach = 8;

}  // namespace

FrequencySketch FrequencySketch::for_cache(std::uint64_t max_bytes) {
    const std::uint64_t names = std::max(max_bytes / kTypicalBytes, kMinRemembered);
    return FrequencySketch(names * kCountersEach, names * kSampleFactor);
}

FrequencySketch::FrequencySketch(std::size_t counters, std::uint64_t sample)
    : counters_(std::bit_ceil(std::max<std::size_t>(counters, 64))),
      mask_(counters_.size() - 1),
      sample_(std::max<std::uint64_t>(sample, 1)) {}

// A key is a good hash already: its low bits choose a cache line, its high ones a counter in each
// quarter of it, so that a look-up costs one cache miss.
std::size_t FrequencySketch::line_of(PolicyKey key) const {
    return static_cast<std::size_t>(key) & mask_ & ~(kLineBytes - 1);
}

std::size_t FrequencySketch::place(PolicyKey key, unsigned row) const {
    const std::size_t counter = (key >> (40 + 4 * row)) & (kLineBytes / kRows - 1);
    return line_of(key) + row * (kLineBytes / kRows) + counter;
}

std::uint32_t FrequencySketch::counted(PolicyKey key) const {
    std::uint8_t least = UINT8_MAX;
    for (unsigned row = 0; row < kRows; ++row) least = std::min(least, counters_[place(key, row)]);
    return least;
}

std::uint32_t FrequencySketch::estimate(PolicyKey key) const {
    const std::uint32_t waiting = added_last_ == key ? 1 : 0;
    return std::min<std::uint32_t>(counted(key) + waiting, UINT8_MAX);
}

void FrequencySketch::add(PolicyKey key) {
    if (added_last_) count(*added_last_);
    added_last_ = key;
    __builtin_prefetch(&counters_[line_of(key)], 1);
    if (++added_ >= sample_) halve();
}

void FrequencySketch::count(PolicyKey key) {
    const std::uint32_t least = counted(key);
    if (least == UINT8_MAX) return;
    for (unsigned row = 0; row < kRows; ++row) {
        std::uint8_t& counter = counters_[place(key, row)];
        if (counter == least) ++counter;
    }
}

void FrequencySketch::halve() {
    for (std::uint8_t& counter : counters_) counter /= 2;
    carried_ = weight() / 2;
    added_ = 0;
}

}  // namespace kollator::cache
