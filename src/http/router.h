#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http/web_socket_peer.h"

namespace kollator::http {

inline constexpr std::size_t kDefaultMaxBodyBytes = 256 * 1024;

struct RouteOptions {
    bool cors = false;  ///< any origin may call it, preflight included; Location can be read
    std::size_t max_body_bytes = kDefaultMaxBodyBytes;
};

/// One registered way: a method and pattern with an HTTP handler, or a pattern with a WebSocket's.
struct Route {
    std::string method;
    std::vector<std::string> segments;  ///< of the pattern; "{name}" takes any one segment
    RouteOptions options;
    Handler handler;
    WebSocketHandler web_socket;  ///< set: this is a WebSocket route, method GET
    WebSocketOptions web_socket_options;
};

using PathParams = std::map<std::string, std::string, std::less<>>;

/// What the router found for a request.
struct RouteMatch {
    std::shared_ptr<const Route> route;  ///< null: none for this method, or none at all
    PathParams params;
    std::vector<std::string> allowed;  ///< methods of all routes of this path; empty: 404
    bool cors = false;                 ///< some route of this path has it
};

/// Finds routes by method and path. The first registered wins. HEAD finds GET's.
class Router {
 public:
    void add(Route route, std::string_view pattern);
    RouteMatch match(std::string_view method, std::string_view path) const;
    void clear() { routes_.clear(); }

 private:
    std::vector<std::shared_ptr<const Route>> routes_;
};

/// "GET, HEAD, OPTIONS": what goes into Allow.
std::string allow_text(const RouteMatch& match);

}  // namespace kollator::http
