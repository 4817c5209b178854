#include "base/siphash.h"

#include <sys/random.h>

#include <bit>
#include <cstring>

#include "base/check.h"

namespace kollator {
namespace {

struct State {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }

    void absorb(std::uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

SiphashKey process_key() {
    SiphashKey key{};
    KOLLATOR_CHECK(::getrandom(&key, sizeof key, 0) == static_cast<ssize_t>(sizeof key));
    return key;
}

}  // namespace

std::uint64_t siphash(ByteSpan bytes, SiphashKey key) {
    static_assert(std::endian::native == std::endian::little);
    State state{key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL};
    const std::size_t whole = bytes.size() & ~std::size_t{7};
    for (std::size_t i = 0; i < whole; i += 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + i, 8);
        state.absorb(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (std::size_t i = whole; i < bytes.size(); ++i) {
        last |= static_cast<std::uint64_t>(bytes[i]) << (8 * (i - whole));
    }
    state.absorb(last);
    state.v2 ^= 0xff;
    for (int i = 0; i < 4; ++i) state.round();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::uint64_t siphash(ByteSpan bytes) {
    static const SiphashKey kKey = process_key();
    return siphash(bytes, kKey);
}

}  // namespace kollator
