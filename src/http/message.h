#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kollator::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// One request. What views point to lives until the handler returns.
struct Request {
    std::string method;  ///< "GET"; HEAD reaches a GET route as "HEAD"
    std::string path;    ///< percent-decoded, begins with '/'
    Fields query;        ///< decoded, in the order of the URL
    std::map<std::string, std::string, std::less<>> params;  ///< of the route's pattern
    Fields headers;
    std::string_view body;
    /// The client's, numeric, without port: "192.0.2.1", "2001:db8::1".
    std::string remote_address;
    bool is_loopback = false;

    /// The first header of that name, whatever its case; empty where there is none.
    std::string_view header(std::string_view name) const;
    bool has_header(std::string_view name) const;
    std::optional<std::string_view> query_value(std::string_view name) const;
    /// Empty where the pattern has no such parameter.
    std::string_view param(std::string_view name) const;
};

/// A body is owned, or lives for ever (what the executable holds).
using ResponseBody = std::variant<std::string, std::span<const std::uint8_t>>;

struct Response {
    int status = 200;
    std::string content_type;  ///< empty: no Content-Type
    ResponseBody body;
    Fields headers{};    ///< others than Content-Type, Content-Length, Connection, Date
    bool close = false;  ///< end the connection after it

    std::size_t body_size() const;
    std::string_view body_view() const;
    bool has_header(std::string_view name) const;
};

Response json_response(int status, std::string json);
Response text_response(int status, std::string text);
/// {"error":{"code":…,"message":…}}; `code` is for programs, `message` for people.
Response error_response(int status, std::string_view code, std::string_view message);

/// 503, with the advice to come back in a few seconds.
Response unavailable_response(std::string_view message);
/// What is true now only: no proxy or browser may keep it.
Response fresh(Response response);

/// True for "application/sdp; charset=utf-8" against "application/sdp".
bool media_type_is(std::string_view content_type, std::string_view expected);
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Answers one request, now or later. Loop thread only. Copies answer the same request; the first
/// send() counts. When the last copy goes without an answer, the client gets 500. Safe when the
/// connection or the server is gone.
class Responder {
 public:
    using Sink = std::function<void(Response)>;

    explicit Responder(Sink sink);
    /// REQUIRES: not answered yet.
    void send(Response response) const;
    bool answered() const;

 private:
    struct State;
    std::shared_ptr<State> state_;
};

using Handler = std::function<void(const Request&, Responder)>;

}  // namespace kollator::http
