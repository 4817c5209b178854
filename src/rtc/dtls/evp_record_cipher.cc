#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "rtc/certificate_impl.h"
#include "rtc/dtls/record_cipher.h"

namespace kollator::rtc {
namespace {

using ContextPtr = OpensslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

/// Looked up once: EVP_aes_128_gcm() would search the provider for each key.
const EVP_CIPHER* cipher_of(std::size_t key_bytes) {
    static EVP_CIPHER* const aes128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
    static EVP_CIPHER* const aes256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    return key_bytes == 16 ? aes128 : aes256;
}

class EvpRecordCipher final : public RecordCipher {
 public:
    EvpRecordCipher(ContextPtr context, CipherDirection direction)
        : context_(std::move(context)), direction_(direction) {}

    bool seal(const Nonce& nonce, ByteSpan associated, ByteSpan plain, std::uint8_t* out) override {
        KOLLATOR_CHECK(direction_ == CipherDirection::kSeal);
        EVP_CIPHER_CTX* const context = context_.get();
        int count = 0;
        std::uint8_t* const tag = out + plain.size();
        return EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
               EVP_EncryptUpdate(context, nullptr, &count, associated.data(),
                                 static_cast<int>(associated.size())) == 1 &&
               EVP_EncryptUpdate(context, out, &count, plain.data(),
                                 static_cast<int>(plain.size())) == 1 &&
               EVP_EncryptFinal_ex(context, tag, &count) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1;
    }

    bool open(const Nonce& nonce, ByteSpan associated, ByteSpan sealed,
              std::uint8_t* out) override {
        KOLLATOR_CHECK(direction_ == CipherDirection::kOpen && sealed.size() >= kTagBytes);
        EVP_CIPHER_CTX* const context = context_.get();
        const ByteSpan encrypted = sealed.first(sealed.size() - kTagBytes);
        std::array<std::uint8_t, kTagBytes> tag{};  // OpenSSL wants it without const
        std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
        int count = 0;
        const bool authentic =
            EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
            EVP_DecryptUpdate(context, nullptr, &count, associated.data(),
                              static_cast<int>(associated.size())) == 1 &&
            EVP_DecryptUpdate(context, out, &count, encrypted.data(),
                              static_cast<int>(encrypted.size())) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
            EVP_DecryptFinal_ex(context, out + encrypted.size(), &count) == 1;
        if (!authentic) ERR_clear_error();
        return authentic;
    }

 private:
    const ContextPtr context_;
    const CipherDirection direction_;
};

}  // namespace

std::unique_ptr<RecordCipher> make_evp_record_cipher(ByteSpan key, CipherDirection direction) {
    KOLLATOR_CHECK(key.size() == 16 || key.size() == 32);
    ContextPtr context(EVP_CIPHER_CTX_new());
    const int encrypt = direction == CipherDirection::kSeal ? 1 : 0;
    // AES-GCM's nonce has 12 bytes unless asked otherwise.
    if (!context || EVP_CipherInit_ex(context.get(), cipher_of(key.size()), nullptr, key.data(),
                                      nullptr, encrypt) != 1) {
        return nullptr;
    }
    return std::make_unique<EvpRecordCipher>(std::move(context), direction);
}

std::unique_ptr<RecordCipher> make_record_cipher(ByteSpan key, CipherDirection direction) {
    if (auto cipher = make_ipsec_mb_record_cipher(key)) return cipher;
    return make_evp_record_cipher(key, direction);
}

}  // namespace kollator::rtc
