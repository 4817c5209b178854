#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "http/message.h"

namespace kollator::http {

/// A file in the executable's memory, which lives for ever.
struct StaticAsset {
    std::string_view content_type;
    std::span<const std::uint8_t> bytes;
    std::string_view etag;                        ///< quoted; empty: none
    std::span<const std::uint8_t> gzip_bytes{};   ///< empty: none
    std::string_view cache_control = "no-cache";  ///< kept, but asked for again with the ETag
};

/// 200, or 304 where the client's copy is the same (RFC 9110 13.1.2); gzip where the client takes
/// it.
Response asset_response(const StaticAsset& asset, const Request& request);

}  // namespace kollator::http
