#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace kollator::crypto {

using Sha256Digest = std::array<std::uint8_t, 32>;
using Sha1Digest = std::array<std::uint8_t, 20>;
using Md5Digest = std::array<std::uint8_t, 16>;

/// About 3 ms for a chunk of 5 MiB: on the loop's thread at most 64 KiB at once.
Sha256Digest sha256(ByteSpan bytes);

/// SHA-256 of what comes in pieces. One thread at a time.
class Sha256 {
 public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(ByteSpan bytes);
    /// Ends the computation; afterwards the object may only be destroyed or assigned to.
    Sha256Digest finish();

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

Sha256Digest hmac_sha256(ByteSpan key, ByteSpan message);
/// For STUN's MESSAGE-INTEGRITY (RFC 8489) only.
Sha1Digest hmac_sha1(ByteSpan key, ByteSpan message);

/// For keys of the BitTorrent DHT that are no truncated SHA-256 only.
Sha1Digest sha1(ByteSpan message);

/// For the key of STUN's long-term credentials (RFC 8489 9.2.2) only.
Md5Digest md5(ByteSpan message);

/// RFC 5869 with SHA-256, `out.size()` bytes.
void hkdf_sha256(ByteSpan key, ByteSpan salt, ByteSpan info, MutableByteSpan out);

/// Takes the same time wherever the two differ; false at once on unequal lengths.
bool constant_time_equal(ByteSpan a, ByteSpan b);

}  // namespace kollator::crypto
