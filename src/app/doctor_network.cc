// Ports, WebRTC, STUN, TURN, and the DHT.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "app/doctor_checks.h"
#include "app/ice_server_options.h"
#include "app/udp_exchange.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"
#include "peer/dialer.h"
#include "rtc/certificate.h"
#include "rtc/direct_address.h"
#include "rtc/mux/host_addresses.h"
#include "rtc/stun/stun_message.h"

namespace kollator::app {
namespace {

constexpr std::chrono::milliseconds kUdpTimeout{4'000};
constexpr std::chrono::seconds kTurnTimeout{10};
constexpr std::chrono::seconds kDialTimeout{10};

std::string host_of(const config::Config& config) {
    if (config.host == "0.0.0.0") return "127.0.0.1";
    if (config.host == "::") return "[::1]";
    return config.host.find(':') == std::string::npos ? config.host : "[" + config.host + "]";
}

/// Where a worker of this machine is reached that listens at HOST.
rtc::IpAddress local_ip(const config::Config& config) {
    const auto ip = rtc::IpAddress::parse(config.host);
    if (config.host == "::") return *rtc::IpAddress::parse("::1");
    return ip && config.host != "0.0.0.0" ? *ip : *rtc::IpAddress::parse("127.0.0.1");
}

Result<rtc::Certificate> new_certificate() {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        system_clock().wall_now().time_since_epoch());
    return rtc::Certificate::generate(now.count());
}

/// Whoever answered.
struct Met {
    std::string id;
    std::array<std::uint8_t, 32> certificate{};
};

/// A conversation with a worker, as a client has it; from a socket of its own, since one has one
/// connection only to each of the worker's addresses.
Result<Met> converse(const config::Config& config, const peer::Route& route) {
    EventLoop loop;
    auto certificate = new_certificate();
    if (!certificate) return certificate.error();
    rtc::EndpointOptions udp;
    if (local_ip(config).is_v6()) udp.bind_address = "::";
    auto endpoint =
        rtc::open_endpoint(loop, system_clock(), crypto::system_random(), *certificate, udp);
    if (!endpoint) return endpoint.error();
    peer::DialerOptions options;
    options.hello.agent = "kollator doctor";
    options.way_timeout = kDialTimeout;
    peer::Dialer dialer(loop, system_clock(), crypto::system_random(), **endpoint, options);
    std::optional<Result<std::unique_ptr<peer::Connection>>> made;
    dialer.dial(route, [&](auto connection) { made = std::move(connection); });
    loop.run_until([&] { return made.has_value(); }, 2 * kDialTimeout);
    if (!made) return make_error(ErrorCode::kTimeout, "no answer");
    if (!made->ok()) return made->error();
    const auto proved = (*endpoint)->peers().front().remote_fingerprint;
    return Met{(**made)->hello().id, proved.value_or(Met{}.certificate)};
}

/// Those of the shards: `config.port` and what follows.
std::string ports_text(const config::Config& config) {
    const std::uint32_t last = config.port + config.rtc_shards - 1;
    return config.rtc_shards == 1 ? fmt::format("UDP port {}", config.port)
                                  : fmt::format("UDP ports {} to {}", config.port, last);
}

Status open_port(const config::Config& config, std::uint16_t port) {
    EventLoop loop;
    auto certificate = new_certificate();
    if (!certificate) return certificate.error();
    rtc::EndpointOptions options;
    options.bind_address = config.host;
    options.port = port;
    auto endpoint =
        rtc::open_endpoint(loop, system_clock(), crypto::system_random(), *certificate, options);
    return endpoint ? Status() : Status(endpoint.error());
}

/// The shards' ports of a worker that runs, by direct dial: an answer names the port of one shard,
/// and the worker chooses which.
void examine_shards(const config::Config& config, const Met& worker,
                    std::vector<Finding>& findings) {
    if (config.rtc_shards == 1 || !config.direct_dial) return;
    for (std::uint32_t shard = 0; shard < config.rtc_shards; ++shard) {
        const auto port = static_cast<std::uint16_t>(config.port + shard);
        peer::Route route;
        route.direct_address =
            rtc::format_direct_address({{local_ip(config), port}, worker.certificate});
        const auto met = converse(config, route);
        if (met) continue;
        // The first only: each that is silent takes its time.
        return findings.push_back(
            {Verdict::kFault, "webrtc",
             fmt::format("no client can connect at UDP port {} of the {} shards: {}", port,
                         config.rtc_shards, met.error().detail),
             "let UDP to it; or the worker runs with a smaller RTC_SHARDS: start it again"});
    }
    findings.push_back(
        {Verdict::kGood, "webrtc",
         fmt::format("clients of this machine can connect at each of {}", ports_text(config)), ""});
}

/// The worker that has the port, or whatever else has it.
void examine_running(const config::Config& config, std::vector<Finding>& findings) {
    peer::Route route;
    route.worker_url = fmt::format("http://{}:{}", host_of(config), config.port);
    const auto met = converse(config, route);
    if (met) {
        findings.push_back({Verdict::kGood, "webrtc",
                            fmt::format("the worker {} runs at {}, and clients of this "
                                        "machine can connect",
                                        met->id, route.worker_url),
                            ""});
        return examine_shards(config, *met, findings);
    }
    findings.push_back({Verdict::kFault, "webrtc",
                        fmt::format("PORT {} is taken, and no client can connect there: {}",
                                    config.port, met.error().detail),
                        "another program has the port: give the worker another PORT; or it is the "
                        "worker, and UDP to it is blocked"});
}

void examine_ports(const config::Config& config, std::vector<Finding>& findings) {
    if (!open_port(config, config.port)) return examine_running(config, findings);
    // The system chooses them all where PORT is 0.
    const std::uint32_t further = config.port == 0 ? 0 : config.rtc_shards - 1;
    for (std::uint32_t shard = 1; shard <= further; ++shard) {
        const std::uint32_t port = config.port + shard;
        const Status opened = port <= std::numeric_limits<std::uint16_t>::max()
                                  ? open_port(config, static_cast<std::uint16_t>(port))
                                  : make_error(ErrorCode::kInvalid, "there is no such port");
        if (opened) continue;
        return findings.push_back(
            {Verdict::kFault, "webrtc",
             fmt::format("UDP port {} is one of RTC_SHARDS, and cannot be opened: {}", port,
                         opened.error().detail),
             "another program has it: choose a PORT from which on RTC_SHARDS ports are free"});
    }
    findings.push_back({Verdict::kGood, "webrtc",
                        fmt::format("{} can be opened; it must be reachable from outside, as TCP "
                                    "{} must be",
                                    ports_text(config), config.port),
                        ""});
}

/// Clients elsewhere need an address that they can reach.
void examine_addresses(const config::Config& config, std::vector<Finding>& findings) {
    const bool helped = !config.announce_addresses.empty() || !config.stun_servers.empty() ||
                        !config.turn_servers.empty();
    const auto addresses = rtc::choose_host_addresses({}, rtc::machine_addresses());
    const bool outside = std::any_of(addresses.begin(), addresses.end(), [](const auto& address) {
        const std::string text = address.text();
        const bool private_v4 = text.starts_with("10.") || text.starts_with("192.168.") ||
                                text.starts_with("169.254.") || text.starts_with("172.");
        return !address.is_loopback() && !private_v4 && !text.starts_with("fd");
    });
    if (helped || outside) return;
    findings.push_back({Verdict::kWarning, "webrtc",
                        "this machine has private addresses only, and nothing tells clients "
                        "another one",
                        "for clients outside this network set ANNOUNCE_ADDRESSES, or STUN_SERVERS, "
                        "or TURN_SERVERS"});
}

void examine_stun(const rtc::StunServerOptions& server, std::vector<Finding>& findings) {
    rtc::TransactionId id{};
    crypto::system_random().fill(id);
    const Bytes request =
        rtc::StunBuilder(rtc::StunClass::kRequest, rtc::kStunBinding, id).finish();
    const Status answered = udp_exchange(
        server.host, std::to_string(server.port), request,
        [&id](ByteSpan datagram) {
            const auto message = rtc::parse_stun(datagram);
            return message && message->transaction == id;
        },
        kUdpTimeout);
    const std::string where = fmt::format("stun:{}:{}", server.host, server.port);
    if (answered) return findings.push_back({Verdict::kGood, "stun", where + " answers", ""});
    findings.push_back({Verdict::kFault, "stun", where + ": " + answered.error().detail,
                        "correct STUN_SERVERS, or let UDP out to it: behind a NAT nobody outside "
                        "can reach the worker without"});
}

/// Asks it for a relayed address, as the worker would.
void examine_turn(const rtc::TurnServerOptions& server, const rtc::IceServerOptions& all,
                  std::vector<Finding>& findings) {
    EventLoop loop;
    auto certificate = new_certificate();
    if (!certificate) return;
    rtc::EndpointOptions options;
    options.servers = all;
    options.servers.stun.clear();
    options.servers.turn = {server};
    auto endpoint =
        rtc::open_endpoint(loop, system_clock(), crypto::system_random(), *certificate, options);
    if (!endpoint) return;
    const auto relayed = [&] {
        const auto candidates = (*endpoint)->local_candidates();
        return std::any_of(candidates.begin(), candidates.end(), [](const std::string& text) {
            return text.find(" typ relay") != std::string::npos;
        });
    };
    // Looked at ten times a second: nobody is told of candidates before there is a peer.
    Timer timer(loop);
    std::function<void()> tick = [&] { timer.start_after(std::chrono::milliseconds(100), tick); };
    tick();
    const bool good = loop.run_until(relayed, kTurnTimeout);
    const std::string where = fmt::format("turn:{}:{}", server.host, server.port);
    if (good) {
        return findings.push_back({Verdict::kGood, "turn", where + " gives an address", ""});
    }
    findings.push_back({Verdict::kFault, "turn", where + " gives no address",
                        "correct TURN_SERVERS (host, port, transport) and its user and password, "
                        "or TURN_SECRET; let the transport out to it"});
}

/// A DHT node (BEP 5) answers a ping.
Status ping_dht(const std::string& node) {
    const std::size_t colon = node.rfind(':');
    std::string host = node.substr(0, colon);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    std::array<std::uint8_t, 20> id{};
    crypto::system_random().fill(id);
    Bytes ping;
    const auto add = [&ping](ByteSpan bytes) {
        ping.insert(ping.end(), bytes.begin(), bytes.end());
    };
    add(as_bytes("d1:ad2:id20:"));
    add(id);
    add(as_bytes("e1:q4:ping1:t2:kd1:y1:qe"));
    return udp_exchange(
        host, node.substr(colon + 1), ping,
        [](ByteSpan datagram) {
            const std::string_view text = as_text(datagram);
            return text.starts_with("d") && text.find("1:y1:r") != std::string_view::npos;
        },
        kUdpTimeout);
}

}  // namespace

void examine_network(const config::Config& config, std::vector<Finding>& findings) {
    examine_ports(config, findings);
    examine_addresses(config, findings);
    const rtc::IceServerOptions servers = ice_server_options(config);
    for (const rtc::StunServerOptions& stun : servers.stun) examine_stun(stun, findings);
    for (const rtc::TurnServerOptions& turn : servers.turn) examine_turn(turn, servers, findings);
}

void examine_dht(const config::Config& config, std::vector<Finding>& findings) {
    if (config.dht_enabled == "false") {
        return findings.push_back({Verdict::kGood, "dht", "off (DHT_ENABLED)", ""});
    }
    if (config.dht_bootstrap_nodes.empty()) {
        return findings.push_back({Verdict::kWarning, "dht", "DHT_BOOTSTRAP_NODES names nobody",
                                   "name nodes for the worker to be found in the BitTorrent DHT, "
                                   "such as router.bittorrent.com:6881"});
    }
    std::size_t answered = 0;
    std::string failures;
    for (const std::string& node : config.dht_bootstrap_nodes) {
        const Status status = ping_dht(node);
        if (status) {
            ++answered;
        } else {
            failures += (failures.empty() ? "" : "; ") + node + ": " + status.error().detail;
        }
    }
    const std::string found =
        fmt::format("{} of {} bootstrap nodes answer", answered, config.dht_bootstrap_nodes.size());
    if (answered == 0) {
        return findings.push_back({Verdict::kFault, "dht", found + " (" + failures + ")",
                                   fmt::format("let UDP out, and in to DHT_PORT {}, and look at "
                                               "DHT_BOOTSTRAP_NODES",
                                               config.dht_port)});
    }
    findings.push_back({failures.empty() ? Verdict::kGood : Verdict::kWarning, "dht",
                        failures.empty() ? found : found + " (" + failures + ")", ""});
}

}  // namespace kollator::app
