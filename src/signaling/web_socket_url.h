#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kollator::signaling {

struct WebSocketUrl {
    bool secure = false;  ///< wss
    std::string host;     ///< without brackets
    std::uint16_t port = 0;
    std::string target;       ///< path and query, "/signaling"
    std::string host_header;  ///< as it goes into Host: with brackets and port where needed
};

/// Takes "ws://" and "wss://" URLs, and "http://" and "https://" for the same. kInvalid: anything
/// else, with user names, or longer than 2 KiB.
Result<WebSocketUrl> parse_web_socket_url(const std::string& url);

}  // namespace kollator::signaling
