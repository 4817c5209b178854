#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/time.h"
#include "store/s3/client_stats.h"
#include "store/s3/endpoint.h"
#include "store/s3/http.h"
#include "store/s3/signer.h"

namespace kollator::store::s3 {

/// One request on the bucket, before it is signed.
struct Call {
    Method method = Method::kGet;
    std::string key;  ///< below the bucket, of characters that need no encoding; empty: the bucket
    std::vector<NameValue> query;
    std::string range;  ///< the Range header's value; may be empty
    SharedBuffer body;
    std::string payload_hash;  ///< hex; empty: of no bytes
    bool only_if_absent = false;
    bool keep_body = false;
    bool again = false;  ///< counts as a retry from its first attempt on
    std::uint64_t max_body_bytes = 0;
    ByteBudget* budget = nullptr;

    std::size_t body_bytes() const { return body ? body->size() : 0; }
};

Operation operation_of(const Call& call);

struct SigningContext {
    const Endpoint& endpoint;
    const Credentials& credentials;
    const S3Options& options;
    WallTime time;
};

/// The signed request. `conditional`: with If-None-Match: *.
HttpRequest build_request(const Call& call, const SigningContext& context, bool conditional);

}  // namespace kollator::store::s3
