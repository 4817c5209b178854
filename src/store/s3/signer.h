#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace kollator::store::s3 {

struct Credentials {
    std::string access_key;
    std::string secret_key;
    std::string session_token;  ///< may be empty
    bool operator==(const Credentials&) const = default;
};

using NameValue = std::pair<std::string, std::string>;

/// A request as AWS Signature Version 4 sees it.
struct SignableRequest {
    std::string method;
    std::string path;              ///< as sent: encoded, beginning with "/"
    std::vector<NameValue> query;  ///< not encoded, in any order
    /// What is signed, in any order and case: `host` and every `x-amz-*` at least.
    std::vector<NameValue> headers;
    std::string payload_hash;  ///< hex of the body's SHA-256, or "UNSIGNED-PAYLOAD"
};

struct SigningScope {
    std::string region;
    std::string service = "s3";
    WallTime time;
};

/// "20130524T000000Z", for x-amz-date.
std::string amz_date(WallTime time);

/// Percent-encodes all but RFC 3986's unreserved characters, with capital hex digits; "/" stays
/// where `keep_slash` says so (for paths).
enum class Slash { kEncode, kKeep };
std::string uri_encode(std::string_view text, Slash slash);

/// Encoded, sorted by encoded name, then by value; a name without a value gets its "=". What is
/// signed and what is sent.
std::string canonical_query(const std::vector<NameValue>& query);

/// "What exactly is signed", as AWS documents it; for tests and for people who look for a fault.
std::string canonical_request(const SignableRequest& request);

/// The Authorization header's value. Pure: the same input gives the same signature.
std::string authorization(const SignableRequest& request, const Credentials& credentials,
                          const SigningScope& scope);

}  // namespace kollator::store::s3
