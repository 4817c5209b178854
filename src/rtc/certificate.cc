#include "rtc/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

#include "rtc/certificate_impl.h"

namespace kollator::rtc {
namespace {

constexpr std::int64_t kDaySeconds = 24 * 60 * 60;
constexpr std::int64_t kLifetimeSeconds = 10 * 365 * kDaySeconds;
/// RFC 5280 4.1.2.2: a serial number has at most 20 octets; we take 16, and clear the sign bit.
constexpr std::size_t kSerialBytes = 16;
/// A P-256 key and a small certificate take about 1 kB as PEM.
constexpr std::size_t kMaxPemBytes = 64 * 1024;
constexpr std::uint32_t kPrivateMode = 0600;

using BioPtr = OpensslPtr<BIO, BIO_free_all>;
using BignumPtr = OpensslPtr<BIGNUM, BN_free>;

Error openssl_error(const char* what) {
    char text[256] = "unknown";
    if (const unsigned long code = ERR_get_error(); code != 0) {
        ERR_error_string_n(code, text, sizeof(text));
    }
    ERR_clear_error();
    return make_error(ErrorCode::kInternal, std::string("certificate: ") + what + ": " + text);
}

bool set_serial(X509* certificate) {
    std::uint8_t raw[kSerialBytes];
    // check: allow(purity) OpenSSL draws the key from the same source; no test depends on either
    if (RAND_bytes(raw, sizeof(raw)) != 1) return false;
    raw[0] = static_cast<std::uint8_t>((raw[0] & 0x7f) | 0x40);  // positive, and never zero
    const BignumPtr number(BN_bin2bn(raw, sizeof(raw), nullptr));
    return number &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_names(X509* certificate) {
    X509_NAME* name = X509_get_subject_name(certificate);
    static constexpr unsigned char kCommonName[] = "kollator";
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, kCommonName, -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1;
}

bool set_validity(X509* certificate, std::int64_t now_seconds) {
    const auto from = static_cast<std::time_t>(now_seconds - kDaySeconds);
    const auto to = static_cast<std::time_t>(now_seconds - kDaySeconds + kLifetimeSeconds);
    return ASN1_TIME_set(X509_getm_notBefore(certificate), from) != nullptr &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), to) != nullptr;
}

Result<crypto::Sha256Digest> fingerprint_of(const X509* certificate) {
    crypto::Sha256Digest digest{};
    unsigned int size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1 ||
        size != digest.size()) {
        return openssl_error("digest");
    }
    return digest;
}

Result<std::unique_ptr<Certificate::Impl>> finish(X509Ptr certificate, KeyPtr key) {
    auto digest = fingerprint_of(certificate.get());
    if (!digest.ok()) return digest.error();
    auto impl = std::make_unique<Certificate::Impl>();
    impl->certificate = std::move(certificate);
    impl->key = std::move(key);
    impl->fingerprint = *digest;
    return impl;
}

Result<std::unique_ptr<Certificate::Impl>> generate_impl(std::int64_t now_seconds) {
    KeyPtr key(EVP_EC_gen("P-256"));
    if (!key) return openssl_error("key generation");
    X509Ptr certificate(X509_new());
    if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        !set_serial(certificate.get()) || !set_names(certificate.get()) ||
        !set_validity(certificate.get(), now_seconds) ||
        X509_set_pubkey(certificate.get(), key.get()) != 1 ||
        X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) {
        return openssl_error("signing");
    }
    return finish(std::move(certificate), std::move(key));
}

Result<Bytes> to_pem(const Certificate::Impl& impl) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (!bio ||
        PEM_write_bio_PKCS8PrivateKey(bio.get(), impl.key.get(), nullptr, nullptr, 0, nullptr,
                                      nullptr) != 1 ||
        PEM_write_bio_X509(bio.get(), impl.certificate.get()) != 1) {
        return openssl_error("PEM");
    }
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return Bytes(data, data + size);
}

/// Gives an empty passphrase, so that an encrypted key fails and no terminal is asked.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Result<std::unique_ptr<Certificate::Impl>> from_pem(ByteSpan pem,
                                                    const std::filesystem::path& path) {
    const auto invalid = [&path](const char* what) {
        ERR_clear_error();
        return make_error(ErrorCode::kInvalid,
                          path.string() + ": " + what + "; remove the file to have a new one made");
    };
    const BioPtr key_bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const BioPtr certificate_bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!key_bio || !certificate_bio) return openssl_error("BIO");
    KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) return invalid("no private key in it");
    X509Ptr certificate(PEM_read_bio_X509(certificate_bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) return invalid("no certificate in it");
    if (EVP_PKEY_is_a(key.get(), "EC") != 1) return invalid("the key is not an ECDSA key");
    if (X509_check_private_key(certificate.get(), key.get()) != 1) {
        return invalid("the key does not belong to the certificate");
    }
    return finish(std::move(certificate), std::move(key));
}

}  // namespace

Certificate::Certificate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Certificate::Certificate(Certificate&&) noexcept = default;
Certificate& Certificate::operator=(Certificate&&) noexcept = default;
Certificate::~Certificate() = default;

Result<Certificate> Certificate::generate(std::int64_t now_seconds) {
    auto impl = generate_impl(now_seconds);
    if (!impl.ok()) return impl.error();
    return Certificate(std::move(*impl));
}

Result<Certificate> Certificate::load_or_generate(FileSystem& fs, const std::filesystem::path& path,
                                                  std::int64_t now_seconds) {
    auto pem = read_file(fs, path, kMaxPemBytes);
    if (pem.ok()) {
        auto impl = from_pem(*pem, path);
        if (!impl.ok()) return impl.error();
        return Certificate(std::move(*impl));
    }
    if (pem.error().code != ErrorCode::kNotFound) return pem.error();

    auto impl = generate_impl(now_seconds);
    if (!impl.ok()) return impl.error();
    auto text = to_pem(**impl);
    if (!text.ok()) return text.error();
    const Status written = write_file_durably(fs, path, *text, kPrivateMode);
    OPENSSL_cleanse(text->data(), text->size());
    if (!written.ok()) return written.error();
    return Certificate(std::move(*impl));
}

const std::array<std::uint8_t, 32>& Certificate::fingerprint() const {
    return impl_->fingerprint;
}

std::string Certificate::fingerprint_text() const {
    return rtc::fingerprint_text(impl_->fingerprint);
}

std::string fingerprint_text(const std::array<std::uint8_t, 32>& fingerprint) {
    static constexpr char kDigits[] = "0123456789ABCDEF";
    std::string text;
    text.reserve(3 * fingerprint.size());
    for (const std::uint8_t byte : fingerprint) {
        if (!text.empty()) text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0x0f];
    }
    return text;
}

}  // namespace kollator::rtc
