#include "cluster/rendezvous.h"

#include "base/bytes.h"
#include "crypto/hash.h"

namespace kollator::cluster {

Rendezvous::Rendezvous(const crypto::SharedKey& key) {
    std::array<std::uint8_t, 16> raw{};
    crypto::hkdf_sha256(key, as_bytes("kollator"), as_bytes("rendezvous-v1"), raw);
    key_ = {load_u64(raw.data()), load_u64(raw.data() + 8)};
}

std::uint64_t Rendezvous::weight(const ChunkId& chunk, std::string_view worker_id) const {
    Bytes input(chunk.span().begin(), chunk.span().end());
    input.insert(input.end(), worker_id.begin(), worker_id.end());
    return siphash(input, key_);
}

std::optional<std::size_t> Rendezvous::owner(const ChunkId& chunk,
                                             std::span<const std::string_view> workers) const {
    std::optional<std::size_t> best;
    std::uint64_t best_weight = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const std::uint64_t drawn = weight(chunk, workers[i]);
        // Equal weights, once in 2^64: the greater id, so that all agree.
        const bool better =
            !best || drawn > best_weight || (drawn == best_weight && workers[i] > workers[*best]);
        if (!better) continue;
        best = i;
        best_weight = drawn;
    }
    return best;
}

}  // namespace kollator::cluster
