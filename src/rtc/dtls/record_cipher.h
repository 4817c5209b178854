#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace kollator::rtc {

/// AES-GCM with one key, for one direction. The nonce never repeats: its owner counts.
class RecordCipher {
 public:
    static constexpr std::size_t kNonceBytes = 12;
    static constexpr std::size_t kTagBytes = 16;
    using Nonce = std::array<std::uint8_t, kNonceBytes>;

    virtual ~RecordCipher() = default;

    /// Writes the ciphertext and the tag: plain.size() + kTagBytes bytes, which do not overlap
    /// `plain`. False where the library refuses (it has no memory).
    virtual bool seal(const Nonce& nonce, ByteSpan associated, ByteSpan plain,
                      std::uint8_t* out) = 0;
    /// Writes sealed.size() - kTagBytes bytes. False where they are not authentic: what was written
    /// is then to be thrown away. REQUIRES: sealed.size() >= kTagBytes.
    virtual bool open(const Nonce& nonce, ByteSpan associated, ByteSpan sealed,
                      std::uint8_t* out) = 0;
};

enum class CipherDirection : std::uint8_t { kSeal, kOpen };

/// The fastest there is: intel-ipsec-mb where it was there at build time and the CPU has AES and
/// carry-less multiplication, else OpenSSL. (An EVP operation costs some 700 ns before the first
/// byte, ipsec-mb's 70: with it a record of 1,160 bytes takes half the time.) `key` has 16 or 32
/// bytes and is copied; null where memory is short. Only the calls of its direction may be made.
std::unique_ptr<RecordCipher> make_record_cipher(ByteSpan key, CipherDirection direction);

/// OpenSSL's, on every machine.
std::unique_ptr<RecordCipher> make_evp_record_cipher(ByteSpan key, CipherDirection direction);

/// Null where this build or this CPU has it not.
std::unique_ptr<RecordCipher> make_ipsec_mb_record_cipher(ByteSpan key);

}  // namespace kollator::rtc
