#include "front/hash_ring.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/siphash.h"

namespace kollator::front {
namespace {

// The same for every front, so no secret: who chooses its address to land on one worker gains
// nothing that it could not ask that worker for.
constexpr SiphashKey kRingKey{0x6b6f6c6c61746f72ULL, 0x72696e672d763100ULL};

std::uint64_t hash(std::string_view text) {
    return siphash(as_bytes(text), kRingKey);
}

std::uint64_t point_of(const std::string& node, std::size_t index) {
    return hash(node + "#" + std::to_string(index));
}

}  // namespace

void HashRing::add(const std::string& node) {
    // Two nodes on one point: the smaller name has it, in whatever order they came.
    for (std::size_t i = 0; i < kVirtualNodes; ++i) {
        const auto [place, inserted] = ring_.emplace(point_of(node, i), node);
        if (!inserted && node < place->second) place->second = node;
    }
}

void HashRing::remove(const std::string& node) {
    std::erase_if(ring_, [&node](const auto& entry) { return entry.second == node; });
}

std::vector<std::string> HashRing::nodes_for(
    std::string_view key, std::size_t limit,
    const std::function<bool(const std::string&)>& accept) const {
    std::vector<std::string> found;
    std::vector<std::string> refused;
    const auto seen = [](const std::vector<std::string>& list, const std::string& node) {
        return std::find(list.begin(), list.end(), node) != list.end();
    };
    auto place = ring_.lower_bound(hash(key));
    for (std::size_t left = ring_.size(); left > 0 && found.size() < limit; --left) {
        if (place == ring_.end()) place = ring_.begin();
        const std::string& node = place->second;
        ++place;
        if (seen(found, node) || seen(refused, node)) continue;
        (accept(node) ? found : refused).push_back(node);
    }
    return found;
}

}  // namespace kollator::front
