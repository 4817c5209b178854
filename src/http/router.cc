#include "http/router.h"

#include <algorithm>

namespace kollator::http {
namespace {

/// "/a/b" gives {"a","b"}; "/" gives {""}; a slash at the end counts: "/a/" is not "/a".
std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> segments;
    std::size_t begin = 1;
    for (;;) {
        const std::size_t end = path.find('/', begin);
        if (end == std::string_view::npos) break;
        segments.emplace_back(path.substr(begin, end - begin));
        begin = end + 1;
    }
    segments.emplace_back(path.substr(std::min(begin, path.size())));
    return segments;
}

bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                      [](const std::string& want, const std::string& got) {
                          return is_parameter(want) ? !got.empty() : want == got;
                      });
}

PathParams params_of(const std::vector<std::string>& pattern,
                     const std::vector<std::string>& path) {
    PathParams params;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (is_parameter(pattern[i])) params[pattern[i].substr(1, pattern[i].size() - 2)] = path[i];
    }
    return params;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

}  // namespace

void Router::add(Route route, std::string_view pattern) {
    route.segments = split(pattern);
    routes_.push_back(std::make_shared<const Route>(std::move(route)));
}

RouteMatch Router::match(std::string_view method, std::string_view path) const {
    RouteMatch result;
    if (!path.starts_with('/')) return result;  // "*": the server itself
    const std::vector<std::string> segments = split(path);
    for (const auto& route : routes_) {
        if (!fits(route->segments, segments)) continue;
        add_once(result.allowed, route->method);
        if (route->method == "GET" && !route->web_socket) add_once(result.allowed, "HEAD");
        result.cors = result.cors || route->options.cors;
        const bool same = route->method == method ||
                          (method == "HEAD" && route->method == "GET" && !route->web_socket);
        if (same && !result.route) {
            result.route = route;
            result.params = params_of(route->segments, segments);
        }
    }
    if (!result.allowed.empty()) add_once(result.allowed, "OPTIONS");
    return result;
}

std::string allow_text(const RouteMatch& match) {
    std::string text;
    for (const std::string& method : match.allowed) {
        if (!text.empty()) text += ", ";
        text += method;
    }
    return text;
}

}  // namespace kollator::http
