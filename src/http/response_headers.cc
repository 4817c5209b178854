#include "http/response_headers.h"

#include <array>

namespace kollator::http {
namespace {

// For the web page: it talks to workers and fronts anywhere, and nothing of another origin, inline
// or made from a string runs in it.
constexpr const char* kPagePolicy =
    "default-src 'self'; connect-src 'self' http: https: ws: wss:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// A day: browsers cap it lower (Chromium: two hours).
constexpr const char* kPreflightMaxAgeSeconds = "86400";

void add_default(Response& response, const char* name, std::string value) {
    if (!response.has_header(name)) response.headers.emplace_back(name, std::move(value));
}

}  // namespace

Response options_response(const Request& request, const RouteMatch& match) {
    Response response;
    response.status = 204;
    const std::string allow = allow_text(match);
    response.headers.emplace_back("Allow", allow);
    if (!match.cors || !request.has_header("Access-Control-Request-Method")) return response;
    response.headers.emplace_back("Access-Control-Allow-Methods", allow);
    response.headers.emplace_back("Access-Control-Allow-Headers", "Content-Type, Accept");
    response.headers.emplace_back("Access-Control-Max-Age", kPreflightMaxAgeSeconds);
    // A page of a public front may call a worker on a private network: the path is open to anyone
    // who reaches the port anyway (WICG Private Network Access).
    if (request.header("Access-Control-Request-Private-Network") == "true") {
        response.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
    }
    return response;
}

void add_common_headers(const Request& request, bool cors, Response& response) {
    if (cors && request.has_header("Origin")) {
        // No credentials are ever looked at on these paths, so any origin may read.
        add_default(response, "Access-Control-Allow-Origin", "*");
        add_default(response, "Access-Control-Expose-Headers", "Location, Retry-After");
    }
    add_default(response, "X-Content-Type-Options", "nosniff");
    add_default(response, "Referrer-Policy", "no-referrer");
    if (media_type_is(response.content_type, "text/html")) {
        add_default(response, "Content-Security-Policy", kPagePolicy);
    }
}

std::string http_date(std::time_t seconds) {
    std::tm utc{};
    if (::gmtime_r(&seconds, &utc) == nullptr) return {};
    std::array<char, 64> text{};
    // The C locale's names: the process never calls setlocale.
    const std::size_t length =
        std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return {text.data(), length};
}

}  // namespace kollator::http
