#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kollator {

struct SiphashKey {
    std::uint64_t k0;
    std::uint64_t k1;
};

/// SipHash-2-4 (Aumasson and Bernstein, 2012). Not for secrets: it keeps strangers from choosing
/// names that fall into one bucket.
std::uint64_t siphash(ByteSpan bytes, SiphashKey key);

/// With the key of this process, drawn at the first call.
std::uint64_t siphash(ByteSpan bytes);

}  // namespace kollator
