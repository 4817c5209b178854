#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::rtc {

/// What one side encrypts with: an AES key of 16 or 32 bytes and the fixed part of the nonce (RFC
/// 5288 3). Wiped when destroyed.
struct DirectionKeys {
    DirectionKeys() = default;
    DirectionKeys(DirectionKeys&&) = default;
    DirectionKeys& operator=(DirectionKeys&&) = default;
    ~DirectionKeys();

    Bytes key;
    std::array<std::uint8_t, 4> salt{};
};

struct RecordKeys {
    DirectionKeys client;  ///< of what the DTLS client sends
    DirectionKeys server;
};

/// The keys of a finished DTLS 1.2 handshake: derived anew, since OpenSSL gives out only what they
/// are derived from (RFC 5246 6.3). Whether the master secret is the extended one (RFC 7627) makes
/// no difference here. kInvalid: a cipher suite that is not AES-GCM.
Result<RecordKeys> derive_record_keys(const SSL* ssl);

}  // namespace kollator::rtc
