#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <memory>
#include <string>

#include "base/check.h"

namespace kollator::crypto {
namespace {

struct FreeMdContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

struct MacContextDelete {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, MacContextDelete>;

/// HMAC() looks the algorithm and the digest up by name at each call, which costs more than hashing
/// a STUN message; a context that has them takes the next key at once.
MacContext make_mac_context(const char* digest) {
    EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    MacContext context(EVP_MAC_CTX_new(hmac));
    EVP_MAC_free(hmac);  // the context has its own reference
    std::string name = digest;
    const std::array<OSSL_PARAM, 2> parameters = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
        OSSL_PARAM_construct_end()};
    KOLLATOR_CHECK(context && EVP_MAC_CTX_set_params(context.get(), parameters.data()) == 1);
    return context;
}

template <std::size_t kBytes>
std::array<std::uint8_t, kBytes> hmac(EVP_MAC_CTX* context, ByteSpan key, ByteSpan message) {
    // EVP_MAC_init() takes a null key for "the same again".
    static constexpr std::uint8_t kEmpty = 0;
    std::array<std::uint8_t, kBytes> out;
    std::size_t length = 0;
    KOLLATOR_CHECK(EVP_MAC_init(context, key.empty() ? &kEmpty : key.data(), key.size(), nullptr) ==
                       1 &&
                   EVP_MAC_update(context, message.data(), message.size()) == 1 &&
                   EVP_MAC_final(context, out.data(), &length, out.size()) == 1);
    KOLLATOR_CHECK(length == kBytes);
    return out;
}

template <typename Digest>
Digest digest(const EVP_MD* algorithm, ByteSpan message) {
    Digest out;
    unsigned int length = 0;
    KOLLATOR_CHECK(
        EVP_Digest(message.data(), message.size(), out.data(), &length, algorithm, nullptr) == 1);
    KOLLATOR_CHECK(length == out.size());
    return out;
}

}  // namespace

struct Sha256::Impl {
    std::unique_ptr<EVP_MD_CTX, FreeMdContext> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    KOLLATOR_CHECK(EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteSpan bytes) {
    KOLLATOR_CHECK(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::finish() {
    Sha256Digest digest;
    KOLLATOR_CHECK(EVP_DigestFinal_ex(impl_->context.get(), digest.data(), nullptr) == 1);
    return digest;
}

Sha256Digest sha256(ByteSpan bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Sha256Digest hmac_sha256(ByteSpan key, ByteSpan message) {
    static thread_local const MacContext context = make_mac_context("SHA2-256");
    return hmac<32>(context.get(), key, message);
}

Sha1Digest hmac_sha1(ByteSpan key, ByteSpan message) {
    static thread_local const MacContext context = make_mac_context("SHA1");
    return hmac<20>(context.get(), key, message);
}

Sha1Digest sha1(ByteSpan message) {
    return digest<Sha1Digest>(EVP_sha1(), message);
}

Md5Digest md5(ByteSpan message) {
    return digest<Md5Digest>(EVP_md5(), message);
}

void hkdf_sha256(ByteSpan key, ByteSpan salt, ByteSpan info, MutableByteSpan out) {
    struct FreeKdf {
        void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
        void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
    };
    const std::unique_ptr<EVP_KDF, FreeKdf> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    KOLLATOR_CHECK(kdf != nullptr);
    const std::unique_ptr<EVP_KDF_CTX, FreeKdf> context(EVP_KDF_CTX_new(kdf.get()));
    char digest[] = "SHA256";
    const auto octets = [](const char* name, ByteSpan bytes) {
        // The parameter's type is not const, but the KDF only reads it.
        return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()),
                                                 bytes.size());
    };
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
        octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
    KOLLATOR_CHECK(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) == 1);
}

bool constant_time_equal(ByteSpan a, ByteSpan b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace kollator::crypto
