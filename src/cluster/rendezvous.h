#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/siphash.h"
#include "crypto/shared_key.h"

namespace kollator::cluster {

/// Rendezvous hashing (Thaler and Ravishankar, 1998): each worker draws a weight for a chunk, and
/// the one with the greatest owns it. When a worker comes or goes, only chunks that it owns change
/// their owner. Since all workers draw the same weights, a chain of workers who each take the next
/// one for the owner goes up in weight: it never comes back, however their views differ. Pure.
class Rendezvous {
 public:
    /// Keyed, so that nobody else can choose names that all have one owner.
    explicit Rendezvous(const crypto::SharedKey& key);

    std::uint64_t weight(const ChunkId& chunk, std::string_view worker_id) const;
    /// Which of `workers` owns the chunk; empty where there are none.
    std::optional<std::size_t> owner(const ChunkId& chunk,
                                     std::span<const std::string_view> workers) const;

 private:
    SiphashKey key_{};
};

}  // namespace kollator::cluster
