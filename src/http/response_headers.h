#pragma once

#include <ctime>
#include <string>

#include "http/message.h"
#include "http/router.h"

namespace kollator::http {

/// The answer to OPTIONS: a CORS preflight where the route has CORS and the browser asks for one.
Response options_response(const Request& request, const RouteMatch& match);

/// Adds what every answer has: CORS where the path has it, security headers.
void add_common_headers(const Request& request, bool cors, Response& response);

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
std::string http_date(std::time_t seconds);

}  // namespace kollator::http
