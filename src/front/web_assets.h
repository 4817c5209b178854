#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kollator::front {

/// A file of the web application, in the executable.
struct WebAsset {
    std::string_view path;          ///< as in the URL: "/", "/app.js"
    std::string_view content_type;  ///< with charset where it is text
    std::span<const std::uint8_t> bytes;
    std::string_view etag;  ///< quoted, as in the header: "\"5f3a…\""; changes with the bytes
    std::span<const std::uint8_t> gzip_bytes{};  ///< the same, compressed; empty: none
};

/// Defined by the code that is generated from web/. The memory lives for ever.
std::span<const WebAsset> web_assets();

}  // namespace kollator::front
