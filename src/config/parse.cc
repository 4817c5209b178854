#include "config/parse.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/worker_id.h"

namespace kollator::config {
namespace {

constexpr std::uint64_t kMaxPort = 65535;

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

bool is_host_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
}

/// Takes a name, an IPv4 address or a bracketed IPv6 address off the front of `text`.
bool take_host(std::string_view& text) {
    if (!text.empty() && text.front() == '[') {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return false;
        in6_addr address{};
        const std::string inside(text.substr(1, end - 1));
        text.remove_prefix(end + 1);
        return ::inet_pton(AF_INET6, inside.c_str(), &address) == 1;
    }
    const auto end = std::find_if_not(text.begin(), text.end(), is_host_character);
    const auto length = static_cast<std::size_t>(end - text.begin());
    text.remove_prefix(length);
    return length > 0;
}

/// Takes ":port" off the front where there is one; false where a port is there but wrong.
bool take_optional_port(std::string_view& text) {
    if (text.empty() || text.front() != ':') return true;
    text.remove_prefix(1);
    const auto end = std::find_if_not(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
    const auto length = static_cast<std::size_t>(end - text.begin());
    const bool good = parse_integer(text.substr(0, length), 1, kMaxPort).has_value();
    text.remove_prefix(length);
    return good;
}

}  // namespace

std::optional<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min,
                                           std::uint64_t max) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || value < min || value > max) return std::nullopt;
    return value;
}

std::optional<bool> parse_bool(std::string_view text) {
    const std::string word = lower(text);
    if (word == "1" || word == "true" || word == "yes" || word == "on") return true;
    if (word == "0" || word == "false" || word == "no" || word == "off") return false;
    return std::nullopt;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view item = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const auto begin = item.find_first_not_of(" \t");
        if (begin == std::string_view::npos) continue;
        item = item.substr(begin, item.find_last_not_of(" \t") - begin + 1);
        items.emplace_back(item);
    }
    return items;
}

bool is_ip_address(const std::string& text) {
    in6_addr v6{};
    in_addr v4{};
    return ::inet_pton(AF_INET, text.c_str(), &v4) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), &v6) == 1;
}

bool is_ip_network(const std::string& text) {
    const std::size_t slash = text.find('/');
    const std::string address = text.substr(0, slash);
    if (slash == std::string::npos || !is_ip_address(address)) return is_ip_address(text);
    const std::uint64_t most = address.find(':') == std::string::npos ? 32 : 128;
    return parse_integer(text.substr(slash + 1), 0, most).has_value();
}

bool is_host_port(std::string_view text) {
    return take_host(text) && !text.empty() && take_optional_port(text) && text.empty();
}

bool is_url(std::string_view text, const std::vector<std::string_view>& schemes) {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos) return false;
    const std::string scheme = lower(text.substr(0, colon));
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) return false;
    text.remove_prefix(colon + 3);
    if (!take_host(text) || !take_optional_port(text)) return false;
    const bool printable =
        std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isgraph(c) != 0; });
    return printable && (text.empty() || text.front() == '/');
}

bool is_fellow_address(std::string_view text) {
    const bool direct = (text.starts_with("/ip4/") || text.starts_with("/ip6/")) &&
                        text.find("/webrtc-direct/certhash/") != std::string_view::npos;
    return direct || is_url(text, {"http", "https"});
}

bool is_front_url(std::string_view url) {
    return is_url(url, {"ws", "wss", "http", "https"});
}

bool is_worker_id(std::string_view text) {
    return kollator::is_worker_id(text);
}

std::optional<std::string> parse_stun_server(std::string_view text) {
    std::string_view rest = text;
    bool has_scheme = false;
    for (const std::string_view scheme : {"stun:", "stuns:"}) {
        if (!rest.starts_with(scheme)) continue;
        rest.remove_prefix(scheme.size());
        has_scheme = true;
        break;
    }
    if (!take_host(rest) || !take_optional_port(rest) || !rest.empty()) return std::nullopt;
    return (has_scheme ? "" : "stun:") + std::string(text);
}

std::optional<TurnServer> parse_turn_server(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string scheme(text.substr(0, colon));
    if (scheme != "turn" && scheme != "turns") return std::nullopt;

    TurnServer server;
    std::string_view rest = text.substr(colon + 1);
    // A password may hold '@': the last one ends it.
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = rest.substr(0, at);
        const std::size_t split = user.find(':');
        if (split == std::string_view::npos || split == 0) return std::nullopt;
        server.username = user.substr(0, split);
        server.credential = user.substr(split + 1);
        rest.remove_prefix(at + 1);
    }
    server.url = scheme + ":" + std::string(rest);
    if (!take_host(rest) || !take_optional_port(rest)) return std::nullopt;
    if (!rest.empty() && rest != "?transport=udp" && rest != "?transport=tcp") return std::nullopt;
    return server;
}

}  // namespace kollator::config
