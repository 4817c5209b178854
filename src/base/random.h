#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kollator {

/// Where randomness comes from. The real one (crypto/system_random.h) is fit for keys; tests give a
/// seeded one.
class Random {
 public:
    virtual ~Random() = default;
    virtual void fill(MutableByteSpan out) = 0;

    std::uint32_t u32() {
        std::uint8_t raw[4];
        fill(raw);
        return load_u32(raw);
    }
    std::uint64_t u64() {
        std::uint8_t raw[8];
        fill(raw);
        return load_u64(raw);
    }
};

/// SplitMix64: repeatable, for tests and simulations; never for secrets.
class SeededRandom final : public Random {
 public:
    explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
    void fill(MutableByteSpan out) override {
        for (std::uint8_t& byte : out) {
            if (left_ == 0) {
                word_ = next();
                left_ = 8;
            }
            byte = static_cast<std::uint8_t>(word_);
            word_ >>= 8;
            --left_;
        }
    }

 private:
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }

    std::uint64_t state_;
    std::uint64_t word_ = 0;
    int left_ = 0;
};

}  // namespace kollator
