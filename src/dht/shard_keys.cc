#include "dht/shard_keys.h"

#include <array>

#include "crypto/hash.h"

namespace kollator::dht {

std::vector<InfoHash> all_shard_keys() {
    std::vector<InfoHash> keys;
    for (std::size_t i = 0; i < kShards; ++i) {
        Bytes name(as_bytes("kollator").begin(), as_bytes("kollator").end());
        name.push_back(static_cast<std::uint8_t>(i));
        keys.emplace_back(crypto::sha1(name));
    }
    return keys;
}

InfoHash shard_key(std::uint8_t first_byte) {
    static const std::vector<InfoHash> keys = all_shard_keys();
    return keys[first_byte];
}

}  // namespace kollator::dht
