#pragma once

#include <string>

#include "base/result.h"
#include "store/s3/s3_store.h"

namespace kollator::store::s3 {

/// Where a bucket's requests go, for either address style.
struct Endpoint {
    std::string origin;  ///< "https://host:port", with the bucket in the host where the style is so
    std::string host;    ///< what the Host header says and the signature covers
    std::string prefix;  ///< "/bucket", or empty
    bool loopback = false;
};

/// Checks every option and gives the endpoint. kInvalid, naming the option.
Result<Endpoint> resolve(const S3Options& options);

}  // namespace kollator::store::s3
