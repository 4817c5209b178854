#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/time.h"
#include "store/s3/verdict.h"

namespace kollator::store::s3 {

/// One HTTP request, signed and complete.
struct HttpRequest {
    Method method = Method::kGet;
    std::string url;
    std::vector<std::string> headers;  ///< "Name: value"
    SharedBuffer body;                 ///< of a PUT; null: empty
    /// True: the body of a 2xx goes into a buffer of its own. False: into `text`.
    bool keep_body = false;
    std::uint64_t max_body_bytes = 0;
    ByteBudget* budget = nullptr;  ///< for that buffer; not touched once the request was cancelled
    std::size_t max_text_bytes = 0;
    std::chrono::milliseconds timeout{};  ///< for the whole
};

/// `Content-Range: bytes <first>-<last>/<total>`.
struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view value);

struct HttpResponse {
    Fault fault = Fault::kNone;
    std::string fault_detail;
    int status = 0;  ///< 0: no answer
    std::optional<std::uint64_t> content_length;
    std::optional<ContentRange> content_range;
    bool has_etag = false;
    std::string date;                     ///< the header, as sent
    std::optional<WallTime> server_time;  ///< the same, understood
    std::string text;                     ///< up to max_text_bytes
    SharedBuffer body;
};

}  // namespace kollator::store::s3
