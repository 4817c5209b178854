#include "http/static_asset.h"

namespace kollator::http {
namespace {

std::string_view trim(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// The next item of a comma-separated list; `list` becomes the rest.
std::string_view next_item(std::string_view& list) {
    const auto comma = list.find(',');
    const std::string_view item = trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    return item;
}

/// RFC 9110 13.1.2: If-None-Match compares weakly.
bool any_matches(std::string_view list, std::string_view etag) {
    if (etag.empty()) return false;
    while (!list.empty()) {
        std::string_view item = next_item(list);
        if (item == "*") return true;
        if (item.starts_with("W/")) item.remove_prefix(2);
        if (item == etag) return true;
    }
    return false;
}

bool takes_gzip(std::string_view accepted) {
    while (!accepted.empty()) {
        const std::string_view item = next_item(accepted);
        const auto semicolon = item.find(';');
        if (!equals_ignoring_case(trim(item.substr(0, semicolon)), "gzip")) continue;
        if (semicolon == std::string_view::npos) return true;
        // "q=0" in any length of zeros refuses; every other weight takes.
        const std::string_view weight = trim(item.substr(semicolon + 1));
        return weight.find_first_of("123456789") != std::string_view::npos;
    }
    return false;
}

}  // namespace

Response asset_response(const StaticAsset& asset, const Request& request) {
    Response response;
    if (!asset.etag.empty()) {
        // Two encodings are two byte sequences: a strong ETag would name both (RFC 9110 8.8.3.3).
        const bool weak = !asset.gzip_bytes.empty();
        response.headers.emplace_back("ETag", (weak ? "W/" : "") + std::string(asset.etag));
    }
    response.headers.emplace_back("Cache-Control", asset.cache_control);
    if (!asset.gzip_bytes.empty()) response.headers.emplace_back("Vary", "Accept-Encoding");
    if (any_matches(request.header("If-None-Match"), asset.etag)) {
        response.status = 304;
        return response;
    }
    response.content_type = std::string(asset.content_type);
    response.body = asset.bytes;
    if (!asset.gzip_bytes.empty() && takes_gzip(request.header("Accept-Encoding"))) {
        response.headers.emplace_back("Content-Encoding", "gzip");
        response.body = asset.gzip_bytes;
    }
    return response;
}

}  // namespace kollator::http
