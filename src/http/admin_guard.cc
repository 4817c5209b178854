#include "http/admin_guard.h"

#include <arpa/inet.h>

#include <cstddef>

namespace kollator::http {
namespace {

Response forbidden(std::string_view why) {
    return error_response(403, "forbidden", why);
}

std::optional<Response> check_token(const Request& request, std::string_view admin_token) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view given = request.header("Authorization");
    if (equals_ignoring_case(given.substr(0, kBearer.size()), kBearer) &&
        equal_in_constant_time(given.substr(kBearer.size()), admin_token)) {
        return std::nullopt;
    }
    Response response = error_response(
        401, "unauthorized", "this needs the header 'Authorization: Bearer <admin token>'");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"kollator\"");
    return response;
}

bool came_through_a_proxy(const Request& request) {
    for (const char* name : {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"}) {
        if (request.has_header(name)) return true;
    }
    return false;
}

bool comes_from_a_foreign_page(const Request& request) {
    const std::string_view site = request.header("Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin" && site != "none") return true;
    if (!request.has_header("Origin")) return false;
    return request.header("Origin") != "http://" + std::string(request.header("Host"));
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const volatile auto x = static_cast<unsigned char>(a[i]);
        const volatile auto y = static_cast<unsigned char>(b[i]);
        difference |= static_cast<unsigned>(x ^ y);
    }
    return difference == 0;
}

std::string_view host_without_port(std::string_view authority) {
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        return end == std::string_view::npos ? std::string_view() : authority.substr(1, end - 1);
    }
    return authority.substr(0, authority.find(':'));
}

bool is_loopback_host(std::string_view host) {
    if (equals_ignoring_case(host, "localhost")) return true;
    const std::string text(host);
    in_addr v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    in6_addr v6{};
    return ::inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::optional<Response> refuse_unless_admin(const Request& request, std::string_view admin_token) {
    if (!admin_token.empty()) return check_token(request, admin_token);
    if (!request.is_loopback || came_through_a_proxy(request)) {
        return forbidden(
            "no admin token is set, so this is allowed from the worker's own machine only, and not "
            "through a proxy");
    }
    if (!is_loopback_host(host_without_port(request.header("Host")))) {
        return forbidden("the Host header must be localhost or a loopback address");
    }
    if (comes_from_a_foreign_page(request)) {
        return forbidden("a web page of another origin may not do this");
    }
    return std::nullopt;
}

}  // namespace kollator::http
