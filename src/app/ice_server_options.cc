#include "app/ice_server_options.h"

#include <charconv>
#include <string_view>

#include "config/parse.h"

namespace kollator::app {
namespace {

// RFC 7064 and RFC 7065: what a URI without a port means.
constexpr std::uint16_t kDefaultPort = 3478;
constexpr std::uint16_t kDefaultTlsPort = 5349;

struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};

/// "host", "host:port", "[v6]:port". REQUIRES: config has checked it.
HostPort split_host_port(std::string_view text, std::uint16_t default_port) {
    HostPort result{{}, default_port};
    std::size_t port_at = text.rfind(':');
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        result.host = text.substr(1, end - 1);
        port_at = text.find(':', end);
    } else {
        result.host = text.substr(0, port_at);
    }
    if (port_at != std::string_view::npos) {
        std::from_chars(text.data() + port_at + 1, text.data() + text.size(), result.port);
    }
    return result;
}

rtc::TurnServerOptions turn_server(const config::TurnServer& server) {
    std::string_view url = server.url;
    const bool tls = url.starts_with("turns:");
    url.remove_prefix(url.find(':') + 1);
    const std::size_t query = url.find('?');
    // RFC 7065 3.1: turns is over TCP unless it says otherwise, and DTLS to a relay nobody runs.
    const bool tcp = url.find("transport=tcp") != std::string_view::npos;
    const HostPort where =
        split_host_port(url.substr(0, query), tls ? kDefaultTlsPort : kDefaultPort);
    rtc::TurnServerOptions options;
    options.host = where.host;
    options.port = where.port;
    if (tls) {
        options.transport = rtc::TurnTransport::kTls;
    } else if (tcp) {
        options.transport = rtc::TurnTransport::kTcp;
    }
    options.username = server.username;
    options.password = server.credential;
    return options;
}

}  // namespace

rtc::IceServerOptions ice_server_options(const config::Config& config) {
    rtc::IceServerOptions options;
    for (const std::string& url : config.stun_servers) {
        constexpr std::string_view kScheme = "stun:";
        if (!url.starts_with(kScheme)) continue;
        const HostPort where = split_host_port(url.substr(kScheme.size()), kDefaultPort);
        options.stun.push_back({where.host, where.port});
    }
    for (const config::TurnServer& server : config.turn_servers) {
        options.turn.push_back(turn_server(server));
    }
    options.turn_secret = config.turn_secret;
    options.turn_ca_file = config.turn_ca_file;
    return options;
}

rtc::IceServerOptions ice_server_options(const std::vector<peer::IceServerAddress>& servers) {
    config::Config config;
    for (const peer::IceServerAddress& server : servers) {
        if (const auto stun = config::parse_stun_server(server.url);
            stun && server.url.starts_with("stun:")) {
            config.stun_servers.push_back(*stun);
        } else if (auto turn = config::parse_turn_server(server.url)) {
            turn->username = server.username;
            turn->credential = server.credential;
            config.turn_servers.push_back(*turn);
        }
    }
    return ice_server_options(config);
}

}  // namespace kollator::app
