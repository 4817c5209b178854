#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kollator::store::s3 {

/// `<Error><Code>…</Code><Message>…</Message>…</Error>`. What the server chose to write: bounded,
/// and without control characters.
struct ErrorResponse {
    std::string code;
    std::string message;
};

/// Empty fields where the body is no such document (a proxy's page, a HEAD's nothing).
ErrorResponse parse_error(std::string_view xml);

struct ListedObject {
    std::string key;
    std::uint64_t size_bytes = 0;
};

/// ListObjectsV2's `<ListBucketResult>`.
struct ListResponse {
    std::vector<ListedObject> objects;  ///< in the server's order, at most kMaxListEntries
    bool truncated = false;
};

/// kCorrupt: no such document, or one with an entry that lacks its key or size.
Result<ListResponse> parse_list(std::string_view xml);

}  // namespace kollator::store::s3
