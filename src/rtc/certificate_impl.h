#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <mutex>

#include "crypto/hash.h"
#include "rtc/certificate.h"

namespace kollator::rtc {

/// Frees an OpenSSL object: `OpensslPtr<X509, X509_free>`.
template <typename T, auto Free>
struct OpensslDelete {
    void operator()(T* object) const { Free(object); }
};
template <typename T, auto Free>
using OpensslPtr = std::unique_ptr<T, OpensslDelete<T, Free>>;

using X509Ptr = OpensslPtr<X509, X509_free>;
using KeyPtr = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using SslContextPtr = OpensslPtr<SSL_CTX, SSL_CTX_free>;

/// Only for certificate.cc and dtls/.
struct Certificate::Impl {
    X509Ptr certificate;
    KeyPtr key;
    crypto::Sha256Digest fingerprint{};
    /// One context serves every association of this certificate, on any thread: it is costly to
    /// make. Made by the first one (dtls/dtls_context.cc).
    std::once_flag context_made;
    SslContextPtr context;
};

}  // namespace kollator::rtc
