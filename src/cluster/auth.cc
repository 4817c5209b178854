#include "cluster/auth.h"

#include <algorithm>

#include "base/bytes.h"
#include "crypto/hash.h"
#include "rtc/certificate.h"

namespace kollator::cluster {

std::string proof_text(const AuthClaim& claim) {
    std::string text = "kollator-auth-v1\n";
    text += claim.role == LinkRole::kOfferer ? "offerer\n" : "answerer\n";
    text += claim.worker_id + '\n' + std::to_string(claim.timestamp_s) + '\n';
    text += to_hex(claim.nonce) + '\n';
    if (claim.peer_nonce) text += to_hex(*claim.peer_nonce);
    text += '\n' + rtc::fingerprint_text(claim.fingerprints.offerer) + '\n' +
            rtc::fingerprint_text(claim.fingerprints.answerer);
    return text;
}

std::array<std::uint8_t, 32> auth_token(const crypto::SharedKey& key, std::string_view worker_id,
                                        std::uint64_t timestamp_s) {
    const std::string text = std::string(worker_id) + ':' + std::to_string(timestamp_s);
    return crypto::hmac_sha256(key, as_bytes(text));
}

std::array<std::uint8_t, 32> auth_proof(const crypto::SharedKey& key, const AuthClaim& claim) {
    return crypto::hmac_sha256(key, as_bytes(proof_text(claim)));
}

protocol::Auth make_auth(const crypto::SharedKey& key, const AuthClaim& claim) {
    return {.worker_id = claim.worker_id,
            .timestamp_s = claim.timestamp_s,
            .token = auth_token(key, claim.worker_id, claim.timestamp_s),
            .nonce = claim.nonce,
            .proof = auth_proof(key, claim)};
}

LinkKeys derive_link_keys(const crypto::SharedKey& key, const AuthNonce& offerer,
                          const AuthNonce& answerer) {
    std::array<std::uint8_t, 32> salt{};
    std::copy(offerer.begin(), offerer.end(), salt.begin());
    std::copy(answerer.begin(), answerer.end(), salt.begin() + offerer.size());
    std::array<std::uint8_t, 64> both{};
    crypto::hkdf_sha256(key, salt, as_bytes("kollator-link-v1"), both);
    LinkKeys keys;
    std::copy_n(both.begin(), 32, keys.from_offerer.begin());
    std::copy_n(both.begin() + 32, 32, keys.from_answerer.begin());
    return keys;
}

}  // namespace kollator::cluster
