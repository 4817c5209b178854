#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/shared_key.h"
#include "protocol/hello.h"

// What AUTH proves and agrees on (docs/protocol.md, section 5), as pure functions; authenticator.h
// adds the clock, the nonces and the verdict.
namespace kollator::cluster {

/// Of the SDP offer, or of a direct dial: who asked for the connection.
enum class LinkRole : std::uint8_t { kOfferer, kAnswerer };

/// SHA-256 of a DTLS certificate.
using Fingerprint = std::array<std::uint8_t, 32>;

/// Both ends of one connection, as each of them saw it.
struct LinkFingerprints {
    Fingerprint offerer{};
    Fingerprint answerer{};

    bool operator==(const LinkFingerprints&) const = default;
};

using AuthNonce = std::array<std::uint8_t, 16>;

/// All that a proof speaks of.
struct AuthClaim {
    LinkRole role = LinkRole::kOfferer;
    std::string worker_id;
    std::uint64_t timestamp_s = 0;  ///< since 1970
    AuthNonce nonce{};
    std::optional<AuthNonce> peer_nonce{};  ///< the offerer, who speaks first, knows none
    LinkFingerprints fingerprints;
};

/// What is signed: the claim's lines, fingerprints as in SDP ("AB:CD:…", RFC 8122), nonces in
/// lowercase hex.
std::string proof_text(const AuthClaim& claim);
/// The body that makes the claim.
protocol::Auth make_auth(const crypto::SharedKey& key, const AuthClaim& claim);

/// HMAC-SHA256(key, "<workerId>:<timestamp>").
std::array<std::uint8_t, 32> auth_token(const crypto::SharedKey& key, std::string_view worker_id,
                                        std::uint64_t timestamp_s);
std::array<std::uint8_t, 32> auth_proof(const crypto::SharedKey& key, const AuthClaim& claim);

using LinkKey = std::array<std::uint8_t, 32>;

/// One key for each direction: of what the offerer sends, and of what the answerer sends.
struct LinkKeys {
    LinkKey from_offerer{};
    LinkKey from_answerer{};

    bool operator==(const LinkKeys&) const = default;
};

/// HKDF-SHA256, 64 bytes: the first half seals what the offerer sends, the second what the answerer
/// sends.
LinkKeys derive_link_keys(const crypto::SharedKey& key, const AuthNonce& offerer,
                          const AuthNonce& answerer);

}  // namespace kollator::cluster
