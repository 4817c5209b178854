#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/policy/eviction_policy.h"

namespace kollator::cache {

/// How often a key was asked for of late, within a few per cent and in a byte a counter: a
/// count-min sketch with conservative update whose counters are halved after each `sample` requests
/// (TinyLFU, Einziger, Friedman and Manes, 2017, section 3).
class FrequencySketch {
 public:
    /// `counters` is rounded up to a power of two.
    FrequencySketch(std::size_t counters, std::uint64_t sample);

    /// As large as a cache of `max_bytes` needs.
    static FrequencySketch for_cache(std::uint64_t max_bytes);

    /// Counts with the next call: until then the key's line is on its way to the processor.
    void add(PolicyKey key);
    std::uint32_t estimate(PolicyKey key) const;
    /// The requests that estimates count, the halved ones as halves.
    double weight() const { return carried_ + static_cast<double>(added_); }

 private:
    static constexpr unsigned kRows = 4;
    static constexpr std::size_t kLineBytes = 64;
    std::size_t line_of(PolicyKey key) const;
    std::size_t place(PolicyKey key, unsigned row) const;
    std::uint32_t counted(PolicyKey key) const;
    void count(PolicyKey key);
    void halve();

    std::vector<std::uint8_t> counters_;
    std::size_t mask_;
    std::uint64_t sample_;
    std::uint64_t added_ = 0;
    std::optional<PolicyKey> added_last_;
    double carried_ = 0;
};

}  // namespace kollator::cache
