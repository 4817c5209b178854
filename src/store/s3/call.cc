#include "store/s3/call.h"

namespace kollator::store::s3 {
namespace {

/// A list of 1,000 entries has about 0.6 MB; S3 puts up to 1,024 bytes of key into each.
constexpr std::size_t kMaxListBytes = 4 << 20;
constexpr std::size_t kMaxErrorBytes = 64 << 10;

/// SHA-256 of nothing.
constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

SignableRequest signable(const Call& call, const SigningContext& context, WallTime time) {
    SignableRequest out;
    out.method = std::string(to_string(call.method));
    out.path = context.endpoint.prefix + "/" + call.key;
    if (call.key.empty() && !context.endpoint.prefix.empty()) out.path.pop_back();
    out.query = call.query;
    out.payload_hash = call.payload_hash.empty() ? kEmptyHash : call.payload_hash;
    out.headers = {{"Host", context.endpoint.host},
                   {"x-amz-content-sha256", out.payload_hash},
                   {"x-amz-date", amz_date(time)}};
    if (!context.credentials.session_token.empty()) {
        out.headers.emplace_back("x-amz-security-token", context.credentials.session_token);
    }
    return out;
}

}  // namespace

Operation operation_of(const Call& call) {
    switch (call.method) {
        case Method::kGet:
            return call.query.empty() ? Operation::kGet : Operation::kList;
        case Method::kHead:
            return Operation::kHead;
        case Method::kPut:
            return Operation::kPut;
        case Method::kDelete:
            break;
    }
    return Operation::kDelete;
}

HttpRequest build_request(const Call& call, const SigningContext& context, bool conditional) {
    SigningScope scope;
    scope.region = context.options.region;
    scope.time = context.time;
    const SignableRequest to_sign = signable(call, context, scope.time);

    HttpRequest request;
    request.method = call.method;
    request.url = context.endpoint.origin + to_sign.path;
    if (!call.query.empty()) request.url += "?" + canonical_query(call.query);
    for (const auto& [name, value] : to_sign.headers) {
        request.headers.push_back(name + ": " + value);
    }
    request.headers.push_back("Authorization: " +
                              authorization(to_sign, context.credentials, scope));
    if (!call.range.empty()) request.headers.push_back("Range: " + call.range);
    if (conditional) request.headers.emplace_back("If-None-Match: *");
    request.body = call.body;
    request.keep_body = call.keep_body;
    request.max_body_bytes = call.max_body_bytes;
    request.budget = call.budget;
    request.max_text_bytes = call.query.empty() ? kMaxErrorBytes : kMaxListBytes;
    const std::uint64_t bytes = call.body ? call.body->size() : call.max_body_bytes;
    request.timeout =
        context.options.request_timeout +
        std::chrono::milliseconds(bytes * 1000 / context.options.min_bytes_per_second);
    return request;
}

}  // namespace kollator::store::s3
