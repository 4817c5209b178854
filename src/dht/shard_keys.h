#pragma once

#include <vector>

#include "base/ids.h"

namespace kollator::dht {

/// What only the object store holds is found under few keys, whatever its size: each is shared by
/// all names with the same first byte. SHA-1("kollator" ‖ that byte).
inline constexpr std::size_t kShards = 256;

InfoHash shard_key(std::uint8_t first_byte);
/// Of a chunk's or a torrent's name.
inline InfoHash shard_key_of(const std::array<std::uint8_t, 32>& name) {
    return shard_key(name[0]);
}
std::vector<InfoHash> all_shard_keys();

}  // namespace kollator::dht
