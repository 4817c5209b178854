#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/result.h"

namespace kollator::rtc {

/// As in SDP: "AB:CD:…", uppercase (RFC 8122).
std::string fingerprint_text(const std::array<std::uint8_t, 32>& fingerprint);

/// The endpoint's DTLS identity: a self-signed ECDSA P-256 certificate.
class Certificate {
 public:
    /// A new one, valid for 10 years from a day before `now_seconds` (since 1970).
    static Result<Certificate> generate(std::int64_t now_seconds);
    /// From `path` (PEM, key and certificate, mode 0600), made there when missing.
    static Result<Certificate> load_or_generate(FileSystem& fs, const std::filesystem::path& path,
                                                std::int64_t now_seconds);

    Certificate(Certificate&&) noexcept;
    Certificate& operator=(Certificate&&) noexcept;
    ~Certificate();

    /// SHA-256 of the DER form.
    const std::array<std::uint8_t, 32>& fingerprint() const;
    std::string fingerprint_text() const;

    struct Impl;
    Impl& impl() const { return *impl_; }

 private:
    explicit Certificate(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator::rtc
