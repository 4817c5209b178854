#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kollator::rtc {

/// CRC-32 as in ISO 3309 and ITU-T V.42, which STUN's FINGERPRINT names (RFC 8489 14.7).
std::uint32_t crc32(ByteSpan bytes);

}  // namespace kollator::rtc
