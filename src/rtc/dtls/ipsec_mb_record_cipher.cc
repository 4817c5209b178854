#include "base/check.h"
#include "rtc/dtls/record_cipher.h"

#ifdef KOLLATOR_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <new>

#include "crypto/hash.h"

namespace kollator::rtc {
namespace {

/// The library's table of functions for this CPU; made once, never freed. Null where the CPU lacks
/// what makes it fast and its timing independent of the key.
IMB_MGR* functions() {
    static IMB_MGR* const manager = []() -> IMB_MGR* {
        IMB_MGR* const made = alloc_mb_mgr(0);
        if (made == nullptr) return nullptr;
        constexpr std::uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
        IMB_ARCH architecture = IMB_ARCH_NONE;
        if ((made->features & kNeeded) == kNeeded) init_mb_mgr_auto(made, &architecture);
        const bool usable = architecture != IMB_ARCH_NONE && architecture != IMB_ARCH_NOAESNI &&
                            imb_get_errno(made) == 0;
        if (usable) return made;
        free_mb_mgr(made);
        return nullptr;
    }();
    return manager;
}

class IpsecMbRecordCipher final : public RecordCipher {
 public:
    explicit IpsecMbRecordCipher(ByteSpan key) : wide_(key.size() == 32) {
        if (wide_) {
            IMB_AES256_GCM_PRE(functions(), key.data(), &key_);
        } else {
            IMB_AES128_GCM_PRE(functions(), key.data(), &key_);
        }
    }
    ~IpsecMbRecordCipher() override { OPENSSL_cleanse(&key_, sizeof(key_)); }
    IpsecMbRecordCipher(const IpsecMbRecordCipher&) = delete;
    IpsecMbRecordCipher& operator=(const IpsecMbRecordCipher&) = delete;

    bool seal(const Nonce& nonce, ByteSpan associated, ByteSpan plain, std::uint8_t* out) override {
        gcm_context_data state;  // written before it is read
        std::uint8_t* const tag = out + plain.size();
        const auto encrypt = wide_ ? functions()->gcm256_enc : functions()->gcm128_enc;
        encrypt(&key_, &state, out, plain.data(), plain.size(), nonce.data(), associated.data(),
                associated.size(), tag, kTagBytes);
        return true;
    }

    bool open(const Nonce& nonce, ByteSpan associated, ByteSpan sealed,
              std::uint8_t* out) override {
        KOLLATOR_CHECK(sealed.size() >= kTagBytes);
        const std::size_t size = sealed.size() - kTagBytes;
        gcm_context_data state;
        std::array<std::uint8_t, kTagBytes> tag;
        const auto decrypt = wide_ ? functions()->gcm256_dec : functions()->gcm128_dec;
        decrypt(&key_, &state, out, sealed.data(), size, nonce.data(), associated.data(),
                associated.size(), tag.data(), kTagBytes);
        return crypto::constant_time_equal(tag, sealed.subspan(size));
    }

 private:
    alignas(64) gcm_key_data key_;  // moved by aligned instructions
    const bool wide_;
};

}  // namespace

std::unique_ptr<RecordCipher> make_ipsec_mb_record_cipher(ByteSpan key) {
    KOLLATOR_CHECK(key.size() == 16 || key.size() == 32);
    if (functions() == nullptr) return nullptr;
    return std::make_unique<IpsecMbRecordCipher>(key);
}

}  // namespace kollator::rtc

#else

namespace kollator::rtc {

std::unique_ptr<RecordCipher> make_ipsec_mb_record_cipher(ByteSpan key) {
    KOLLATOR_CHECK(key.size() == 16 || key.size() == 32);
    return nullptr;
}

}  // namespace kollator::rtc

#endif
