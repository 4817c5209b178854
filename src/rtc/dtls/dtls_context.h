#pragma once

#include "rtc/certificate_impl.h"

namespace kollator::rtc {

/// Decides whether the peer's certificate (DER hashed with SHA-256) is the one that signaling
/// announced. Called by OpenSSL during the handshake, before any application data.
class PeerVerifier {
 public:
    virtual ~PeerVerifier() = default;
    virtual bool accept_peer(const crypto::Sha256Digest& fingerprint) = 0;
};

/// The context that all associations of a certificate share; made at the first call, null where
/// OpenSSL refuses. Each SSL made from it needs a verifier.
SSL_CTX* dtls_context(Certificate::Impl& certificate);

/// `verifier` outlives `ssl`.
void set_verifier(SSL* ssl, PeerVerifier& verifier);

}  // namespace kollator::rtc
