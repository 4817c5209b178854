#include "store/s3/endpoint.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/file_system.h"
#include "store/s3/credentials_source.h"

namespace kollator::store {
namespace s3 {
namespace {

constexpr std::size_t kMaxTransfers = 1024;
constexpr int kMaxAttempts = 20;
/// Debian's bundle of every authority has 0.2 MB.
constexpr std::size_t kMaxCaFileBytes = 16 << 20;

struct FreeUrl {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::optional<std::string> part(CURLU* url, CURLUPart what) {
    char* text = nullptr;
    if (curl_url_get(url, what, &text, 0) != CURLUE_OK) return std::nullopt;
    std::string out(text);
    curl_free(text);
    return out;
}

Error wrong(std::string_view option, std::string_view expected) {
    return make_error(ErrorCode::kInvalid, fmt::format("{}: {}", option, expected));
}

bool consists_of(std::string_view text, bool (*allowed)(char)) {
    return std::all_of(text.begin(), text.end(), allowed);
}

bool is_label_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/// Older buckets and other servers allow more than AWS does today.
bool is_bucket_character(char c) {
    return is_label_character(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

Status check_identity(const S3Options& options) {
    if (options.bucket.size() < 3 || options.bucket.size() > 63 ||
        !consists_of(options.bucket, is_bucket_character) || options.bucket.front() == '.') {
        return wrong("bucket", "expected 3 to 63 letters, digits, dots and dashes");
    }
    if (options.address_style == S3AddressStyle::kVirtualHost &&
        !consists_of(options.bucket, is_label_character)) {
        return wrong("bucket", "is no host name, so path style is needed");
    }
    if (options.region.empty() || !consists_of(options.region, is_bucket_character)) {
        return wrong("region", "expected a name such as us-east-1");
    }
    if (options.has_credential_files()) return {};  // judged when they are read
    return check_credentials({options.access_key, options.secret_key, options.session_token});
}

/// libcurl would find out at the first request, and say less.
Status check_trust(const S3Options& options) {
    FileSystem& files = options.files != nullptr ? *options.files : posix_file_system();
    if (!options.ca_file.empty()) {
        const auto bytes = read_file(files, options.ca_file, kMaxCaFileBytes);
        if (!bytes) return wrong("CA file", bytes.error().detail);
        if (as_text(*bytes).find("-----BEGIN CERTIFICATE-----") == std::string_view::npos &&
            as_text(*bytes).find("-----BEGIN TRUSTED CERTIFICATE-----") == std::string_view::npos) {
            return wrong("CA file", options.ca_file + ": holds no certificate in PEM form");
        }
    }
    if (!options.ca_path.empty()) {
        const auto info = files.info(options.ca_path);
        if (!info) return wrong("CA path", info.error().detail);
        if (!info->is_directory) return wrong("CA path", options.ca_path + ": is no folder");
    }
    return {};
}

Status check_numbers(const S3Options& options) {
    if (options.max_transfers < 1 || options.max_transfers > kMaxTransfers) {
        return wrong("max transfers", fmt::format("expected 1 to {}", kMaxTransfers));
    }
    if (options.connect_timeout.count() < 1 || options.stall_timeout.count() < 1 ||
        options.request_timeout.count() < 1 || options.min_bytes_per_second < 1) {
        return wrong("timeouts", "expected more than zero");
    }
    if (options.max_attempts < 1 || options.max_attempts > kMaxAttempts) {
        return wrong("max attempts", fmt::format("expected 1 to {}", kMaxAttempts));
    }
    if (options.retry_window.count() < 0 || options.backoff_base.count() < 0 ||
        options.backoff_cap.count() < 0) {
        return wrong("retries", "expected no negative time");
    }
    if (options.breaker_min_wait.count() < 1 ||
        options.breaker_max_wait < options.breaker_min_wait) {
        return wrong("breaker", "expected a longest wait that is no shorter than the first");
    }
    const bool needs_files = options.has_credential_files() || !options.egress_file.empty();
    if (needs_files && (options.jobs == nullptr || options.files == nullptr)) {
        return wrong("files", "expected a job pool and a file system to read them with");
    }
    if (options.credentials_poll.count() < 1 || options.egress_limited_bytes_per_second < 1) {
        return wrong("credentials and egress", "expected a time and a rate above zero");
    }
    return {};
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

/// Nothing of a URL that is refused is repeated: it may hold a password.
Result<Endpoint> resolve_url(const S3Options& options) {
    static constexpr std::string_view kExpected =
        "expected a URL such as https://s3.example.net, with a port where needed and nothing else";
    const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
    if (curl_url_set(url.get(), CURLUPART_URL, options.endpoint.c_str(), 0) != CURLUE_OK) {
        return wrong("endpoint", kExpected);
    }
    const auto scheme = part(url.get(), CURLUPART_SCHEME);
    const auto host = part(url.get(), CURLUPART_HOST);
    const auto path = part(url.get(), CURLUPART_PATH);
    if (!scheme || (*scheme != "https" && *scheme != "http") || !host || host->empty()) {
        return wrong("endpoint", kExpected);
    }
    if ((path && *path != "/") || part(url.get(), CURLUPART_QUERY) ||
        part(url.get(), CURLUPART_FRAGMENT) || part(url.get(), CURLUPART_USER) ||
        part(url.get(), CURLUPART_PASSWORD)) {
        return wrong("endpoint", kExpected);
    }
    Endpoint endpoint;
    endpoint.loopback = is_loopback(*host);
    endpoint.host = *host;
    if (options.address_style == S3AddressStyle::kPath) {
        endpoint.prefix = "/" + options.bucket;
    } else {
        if (*scheme == "https" && options.bucket.find('.') != std::string::npos) {
            return wrong("bucket", "a name with dots fits no certificate: path style is needed");
        }
        endpoint.host = options.bucket + "." + *host;
    }
    // The default port is left out, as libcurl does in the Host header, which is signed.
    const auto port = part(url.get(), CURLUPART_PORT);
    if (port && *port != (*scheme == "https" ? "443" : "80")) endpoint.host += ":" + *port;
    endpoint.origin = *scheme + "://" + endpoint.host;
    return endpoint;
}

}  // namespace

Result<Endpoint> resolve(const S3Options& options) {
    if (auto status = check_identity(options); !status) return status.error();
    if (auto status = check_numbers(options); !status) return status.error();
    if (auto status = check_trust(options); !status) return status.error();
    return resolve_url(options);
}

}  // namespace s3

Status validate(const S3Options& options) {
    const auto endpoint = s3::resolve(options);
    if (!endpoint) return endpoint.error();
    return {};
}

}  // namespace kollator::store
