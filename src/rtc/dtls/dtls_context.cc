#include "rtc/dtls/dtls_context.h"

#include <utility>

#include "rtc/dtls/dtls_library.h"

namespace kollator::rtc {
namespace {

// RFC 8827 6.5: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 with P-256 must be there. RSA is for peers
// that are servers with an RSA certificate; without AEAD there is nothing.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
/// Of a peer's certificates; OpenSSL's default is 100 kB, and WebRTC's have 300 to 1,500.
constexpr long kMaxCertificateBytes = 16 * 1024;
// P-256 first: OpenSSL makes its key pairs in a fifth of the time of X25519's.
// Without cofactors, or ADR 13's quick check of keys must go.
constexpr char kGroups[] = "P-256:X25519:P-384";

int verifier_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

/// Stands in the place of X.509 chain building: a self-signed certificate proves nothing but that
/// its owner holds the key, and the fingerprint says whose it is (RFC 8122 6.2).
int verify_peer(X509_STORE_CTX* store, void*) {
    const auto refuse = [store] {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return 0;
    };
    const auto* ssl = static_cast<const SSL*>(
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* verifier = static_cast<PeerVerifier*>(SSL_get_ex_data(ssl, verifier_index()));
    const X509* certificate = X509_STORE_CTX_get0_cert(store);
    crypto::Sha256Digest digest{};
    unsigned int size = 0;
    if (verifier == nullptr || certificate == nullptr ||
        X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1 ||
        size != digest.size() || !verifier->accept_peer(digest)) {
        return refuse();
    }
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

SslContextPtr make_context(const Certificate::Impl& certificate) {
    SslContextPtr context(SSL_CTX_new_ex(dtls_library(), nullptr, DTLS_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context.get(), DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1 ||
        SSL_CTX_set1_groups_list(context.get(), kGroups) != 1 ||
        SSL_CTX_use_certificate(context.get(), certificate.certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), certificate.key.get()) != 1) {
        return nullptr;
    }
    SSL_CTX_set_options(context.get(), SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET |
                                           SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_max_cert_list(context.get(), kMaxCertificateBytes);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), verify_peer, nullptr);
    // Each record of a datagram is given out before the next datagram is read.
    SSL_CTX_set_read_ahead(context.get(), 1);
    return context;
}

}  // namespace

SSL_CTX* dtls_context(Certificate::Impl& certificate) {
    std::call_once(certificate.context_made,
                   [&certificate] { certificate.context = make_context(certificate); });
    return certificate.context.get();
}

void set_verifier(SSL* ssl, PeerVerifier& verifier) {
    SSL_set_ex_data(ssl, verifier_index(), &verifier);
}

}  // namespace kollator::rtc
