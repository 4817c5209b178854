#include "rtc/certificate.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "crypto/hash.h"
#include "crypto/system_random.h"

namespace kollator::rtc {
namespace {

constexpr std::int64_t kNow = 1'763'800'000;

class CertificateTest : public ::testing::Test {
 protected:
    CertificateTest()
        : folder_(std::filesystem::temp_directory_path() /
                  ("kollator-certificate-" + std::to_string(crypto::system_random().u64()))) {
        std::filesystem::create_directories(folder_);
    }
    ~CertificateTest() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path path() const { return folder_ / "rtc.pem"; }
    Result<Certificate> load() {
        return Certificate::load_or_generate(posix_file_system(), path(), kNow);
    }
    void write(const std::string& text) {
        ASSERT_TRUE(write_file_durably(posix_file_system(), path(), as_bytes(text)).ok());
    }
    std::string read() {
        auto bytes = read_file(posix_file_system(), path(), 1 << 20);
        return bytes.ok() ? std::string(as_text(*bytes)) : "";
    }

    const std::filesystem::path folder_;
};

TEST_F(CertificateTest, FingerprintTextIsUppercaseHexWithColons) {
    auto certificate = Certificate::generate(kNow);
    ASSERT_TRUE(certificate.ok());
    const std::string text = certificate->fingerprint_text();
    ASSERT_EQ(text.size(), 32 * 3 - 1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i % 3 == 2) {
            EXPECT_EQ(text[i], ':');
        } else {
            EXPECT_NE(std::string("0123456789ABCDEF").find(text[i]), std::string::npos);
        }
    }
    std::string digits;
    for (const char character : text) {
        if (character != ':') digits += character;
    }
    const auto bytes = from_hex(digits);
    ASSERT_TRUE(bytes.has_value());
    EXPECT_TRUE(crypto::constant_time_equal(*bytes, certificate->fingerprint()));
}

TEST_F(CertificateTest, NoTwoAreAlike) {
    auto first = Certificate::generate(kNow);
    auto second = Certificate::generate(kNow);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_NE(first->fingerprint(), second->fingerprint());
}

TEST_F(CertificateTest, IsMadeOnceAndFoundAgain) {
    auto first = load();
    ASSERT_TRUE(first.ok()) << first.error().detail;
    auto second = load();
    ASSERT_TRUE(second.ok()) << second.error().detail;
    EXPECT_EQ(first->fingerprint(), second->fingerprint());
}

TEST_F(CertificateTest, OnlyTheOwnerReadsTheKeyFile) {
    ASSERT_TRUE(load().ok());
    auto info = posix_file_system().info(path());
    ASSERT_TRUE(info.ok());
    EXPECT_EQ(info->mode & 0777, 0600U);
}

TEST_F(CertificateTest, GarbageInTheFileIsRefusedAndKept) {
    write("no PEM at all");
    auto certificate = load();
    ASSERT_FALSE(certificate.ok());
    EXPECT_EQ(certificate.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(read(), "no PEM at all");
}

TEST_F(CertificateTest, AKeyWithoutItsCertificateIsRefused) {
    ASSERT_TRUE(load().ok());
    const std::string text = read();
    write(text.substr(0, text.find("-----BEGIN CERTIFICATE")));
    auto certificate = load();
    ASSERT_FALSE(certificate.ok());
    EXPECT_EQ(certificate.error().code, ErrorCode::kInvalid);
}

TEST_F(CertificateTest, AForeignCertificateIsRefused) {
    ASSERT_TRUE(load().ok());
    const std::string first = read();
    std::filesystem::remove(path());
    ASSERT_TRUE(load().ok());
    const std::string second = read();
    const std::string marker = "-----BEGIN CERTIFICATE";
    write(first.substr(0, first.find(marker)) + second.substr(second.find(marker)));
    auto certificate = load();
    ASSERT_FALSE(certificate.ok());
    EXPECT_EQ(certificate.error().code, ErrorCode::kInvalid);
}

TEST_F(CertificateTest, AnOversizedFileIsRefused) {
    write(std::string(100'000, 'x'));
    auto certificate = load();
    ASSERT_FALSE(certificate.ok());
    EXPECT_EQ(certificate.error().code, ErrorCode::kLimit);
}

TEST_F(CertificateTest, AMissingFolderIsReported) {
    auto certificate =
        Certificate::load_or_generate(posix_file_system(), folder_ / "missing" / "rtc.pem", kNow);
    EXPECT_FALSE(certificate.ok());
}

}  // namespace
}  // namespace kollator::rtc
