#include "signaling/web_socket_url.h"

#include <curl/curl.h>
#include <curl/urlapi.h>

#include <charconv>
#include <memory>

namespace kollator::signaling {
namespace {

constexpr std::size_t kMaxUrlBytes = 2048;

struct UrlCleanup {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

/// Empty where the URL has no such part.
std::string part_of(CURLU* url, CURLUPart part) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
    std::string value = text;
    curl_free(text);
    return value;
}

Error invalid(const std::string& why) {
    return make_error(ErrorCode::kInvalid, "not a WebSocket URL: " + why);
}

}  // namespace

Result<WebSocketUrl> parse_web_socket_url(const std::string& url) {
    if (url.size() > kMaxUrlBytes) return invalid("it is too long");
    const std::unique_ptr<CURLU, UrlCleanup> handle(curl_url());
    const CURLUcode code =
        curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK) return invalid(curl_url_strerror(code));

    WebSocketUrl result;
    const std::string scheme = part_of(handle.get(), CURLUPART_SCHEME);
    result.secure = scheme == "wss" || scheme == "https";
    if (!result.secure && scheme != "ws" && scheme != "http") {
        return invalid("it must begin with ws:// or wss://");
    }
    if (!part_of(handle.get(), CURLUPART_USER).empty()) return invalid("it has a user name");
    const std::string host = part_of(handle.get(), CURLUPART_HOST);
    if (host.empty()) return invalid("it has no host");
    result.host = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
    result.host_header = host;

    result.port = result.secure ? 443 : 80;
    const std::string port = part_of(handle.get(), CURLUPART_PORT);
    if (!port.empty()) {
        std::from_chars(port.data(), port.data() + port.size(), result.port);
        if (result.port == 0) return invalid("its port is 0");
        result.host_header += ":" + port;
    }
    result.target = part_of(handle.get(), CURLUPART_PATH);
    if (result.target.empty()) result.target = "/";
    const std::string query = part_of(handle.get(), CURLUPART_QUERY);
    if (!query.empty()) result.target += "?" + query;
    return result;
}

}  // namespace kollator::signaling
