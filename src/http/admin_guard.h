#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace kollator::http {

/// Says whether `request` may change the worker's state; gives the refusal where it may not.
///
/// With a token: `Authorization: Bearer <token>`, else 401. Without one: loopback only, and not on
/// behalf of a web page of another origin (403). A page's request is known by Origin and by
/// Sec-Fetch-Site; a page whose name was made to resolve to 127.0.0.1 (DNS rebinding) by a Host
/// that is neither "localhost" nor a numeric loopback address; and a proxy on this machine, which
/// makes everybody's requests look local, by the headers that it adds.
std::optional<Response> refuse_unless_admin(const Request& request, std::string_view admin_token);

/// Takes the same time wherever the two differ; false at once on unequal lengths.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// The host of a Host header or an Origin's authority: "[::1]:8081" gives "::1". Empty: malformed.
std::string_view host_without_port(std::string_view authority);

/// "localhost", 127.0.0.0/8 or ::1.
bool is_loopback_host(std::string_view host);

}  // namespace kollator::http
