#include "rtc/dtls/record_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>

#include <algorithm>
#include <string>

#include "rtc/certificate_impl.h"
#include "rtc/dtls/dtls_library.h"

namespace kollator::rtc {
namespace {

using KdfPtr = OpensslPtr<EVP_KDF, EVP_KDF_free>;
using KdfContextPtr = OpensslPtr<EVP_KDF_CTX, EVP_KDF_CTX_free>;

constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kSaltBytes = 4;
constexpr std::size_t kMaxKeyBytes = 32;
constexpr std::size_t kMaxBlockBytes = 2 * (kMaxKeyBytes + kSaltBytes);

/// RFC 5246 6.3: key_block = PRF(master_secret, "key expansion", server_random + client_random).
bool expand_keys(const SSL* ssl, const EVP_MD* digest, MutableByteSpan block) {
    std::array<std::uint8_t, SSL_MAX_MASTER_KEY_LENGTH> master{};
    const std::size_t master_bytes =
        SSL_SESSION_get_master_key(SSL_get0_session(ssl), master.data(), master.size());
    std::string seed = "key expansion";
    seed.resize(seed.size() + 2 * kRandomBytes);
    auto* const randoms = reinterpret_cast<std::uint8_t*>(seed.data()) + seed.size();
    SSL_get_server_random(ssl, randoms - 2 * kRandomBytes, kRandomBytes);
    SSL_get_client_random(ssl, randoms - kRandomBytes, kRandomBytes);

    const KdfPtr kdf(EVP_KDF_fetch(dtls_library(), OSSL_KDF_NAME_TLS1_PRF, nullptr));
    const KdfContextPtr context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    std::string digest_name = EVP_MD_get0_name(digest);
    const std::array<OSSL_PARAM, 4> parameters = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master.data(), master_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()),
        OSSL_PARAM_construct_end()};
    const bool done = context && EVP_KDF_derive(context.get(), block.data(), block.size(),
                                                parameters.data()) == 1;
    OPENSSL_cleanse(master.data(), master.size());
    return done;
}

}  // namespace

DirectionKeys::~DirectionKeys() {
    OPENSSL_cleanse(key.data(), key.size());
}

Result<RecordKeys> derive_record_keys(const SSL* ssl) {
    const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl);
    const int nid = cipher == nullptr ? NID_undef : SSL_CIPHER_get_cipher_nid(cipher);
    if (SSL_version(ssl) != DTLS1_2_VERSION || (nid != NID_aes_128_gcm && nid != NID_aes_256_gcm)) {
        return make_error(ErrorCode::kInvalid, "dtls: no cipher suite of ours");
    }
    const std::size_t key_bytes = nid == NID_aes_128_gcm ? 16 : 32;
    std::array<std::uint8_t, kMaxBlockBytes> memory{};
    const MutableByteSpan block = MutableByteSpan(memory).first(2 * (key_bytes + kSaltBytes));
    if (!expand_keys(ssl, SSL_CIPHER_get_handshake_digest(cipher), block)) {
        return make_error(ErrorCode::kInternal, "dtls: the keys could not be derived");
    }
    // In this order, and without MAC keys: AEAD has none.
    RecordKeys keys;
    const std::uint8_t* at = block.data();
    for (DirectionKeys* side : {&keys.client, &keys.server}) {
        side->key.assign(at, at + key_bytes);
        at += key_bytes;
    }
    for (DirectionKeys* side : {&keys.client, &keys.server}) {
        std::copy(at, at + kSaltBytes, side->salt.begin());
        at += kSaltBytes;
    }
    OPENSSL_cleanse(memory.data(), memory.size());
    return keys;
}

}  // namespace kollator::rtc
