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
    std::int64_t modified_s = 0;  ///< LastModified, since 1970; 0: none, or none that is a time
};

/// "2009-10-12T17:50:30.000Z" (ISO 8601, UTC; a fraction or none) as seconds since 1970; 0: no such
/// time.
std::int64_t parse_time(std::string_view text);

/// ListObjectsV2's `<ListBucketResult>`.
struct ListResponse {
    std::vector<ListedObject> objects;  ///< in the server's order, at most kMaxListEntries
    bool truncated = false;
};

/// kCorrupt: no such document, or one with an entry that lacks its key or size.
Result<ListResponse> parse_list(std::string_view xml);

}  // namespace kollator::store::s3
