#include "store/s3/signer.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace kollator::store::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// "Trim any leading or trailing spaces … convert sequential spaces to a single space."
std::string normalized(std::string_view value) {
    std::string out;
    for (char c : value) {
        if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
        out.push_back(c);
    }
    if (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

std::vector<NameValue> canonical_headers(const std::vector<NameValue>& headers) {
    std::vector<NameValue> out;
    out.reserve(headers.size());
    for (const auto& [name, value] : headers) out.emplace_back(lower(name), normalized(value));
    // By name alone: "host" before "host-id", whatever their values are.
    std::stable_sort(out.begin(), out.end(),
                     [](const NameValue& a, const NameValue& b) { return a.first < b.first; });
    return out;
}

std::string signed_names(const std::vector<NameValue>& headers) {
    std::string names;
    for (const auto& header : headers) {
        if (!names.empty()) names.push_back(';');
        names += header.first;
    }
    return names;
}

std::string hash_hex(std::string_view text) {
    return to_hex(crypto::sha256(as_bytes(text)));
}

}  // namespace

std::string amz_date(WallTime time) {
    const auto seconds = std::chrono::system_clock::to_time_t(time);
    return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(seconds));
}

std::string uri_encode(std::string_view text, Slash slash) {
    static constexpr char kDigits[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        if (is_unreserved(c) || (c == '/' && slash == Slash::kKeep)) {
            out.push_back(c);
        } else {
            const auto byte = static_cast<std::uint8_t>(c);
            out.push_back('%');
            out.push_back(kDigits[byte >> 4]);
            out.push_back(kDigits[byte & 15]);
        }
    }
    return out;
}

std::string canonical_query(const std::vector<NameValue>& query) {
    std::vector<NameValue> encoded;
    encoded.reserve(query.size());
    for (const auto& [name, value] : query) {
        encoded.emplace_back(uri_encode(name, Slash::kEncode), uri_encode(value, Slash::kEncode));
    }
    std::sort(encoded.begin(), encoded.end());
    std::string out;
    for (const auto& [name, value] : encoded) {
        if (!out.empty()) out.push_back('&');
        out += name;
        out.push_back('=');
        out += value;
    }
    return out;
}

std::string canonical_request(const SignableRequest& request) {
    const auto headers = canonical_headers(request.headers);
    std::string text = request.method + "\n" + request.path + "\n";
    text += canonical_query(request.query) + "\n";
    for (const auto& [name, value] : headers) {
        text += name;
        text.push_back(':');
        text += value;
        text.push_back('\n');
    }
    return text + "\n" + signed_names(headers) + "\n" + request.payload_hash;
}

std::string authorization(const SignableRequest& request, const Credentials& credentials,
                          const SigningScope& scope) {
    const std::string date = amz_date(scope.time);
    const std::string day = date.substr(0, 8);
    const std::string where =
        fmt::format("{}/{}/{}/aws4_request", day, scope.region, scope.service);
    const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date, where,
                                            hash_hex(canonical_request(request)));

    auto key = crypto::hmac_sha256(as_bytes("AWS4" + credentials.secret_key), as_bytes(day));
    key = crypto::hmac_sha256(key, as_bytes(scope.region));
    key = crypto::hmac_sha256(key, as_bytes(scope.service));
    key = crypto::hmac_sha256(key, as_bytes("aws4_request"));
    return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                       credentials.access_key, where,
                       signed_names(canonical_headers(request.headers)),
                       to_hex(crypto::hmac_sha256(key, as_bytes(to_sign))));
}

}  // namespace kollator::store::s3
