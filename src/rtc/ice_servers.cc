#include "rtc/ice_servers.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "crypto/turn_credentials.h"

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// How long after a name could not be resolved, or a stream was lost, we try again.
constexpr Duration kTryAgain = std::chrono::seconds(30);

}  // namespace

/// One STUN server, and one client of it for each address family.
struct IceServers::Reflexive {
    StunServerOptions server;
    std::vector<StunClient> clients;
    IpAddress local;  ///< ours that the server answered to
    std::optional<TimePoint> resolve_at;
    bool resolving = false;
};

struct IceServers::Relay {
    std::uint32_t id = 0;  ///< IcePath::relay
    TurnServerOptions server;
    std::unique_ptr<TurnClient> client;
    std::optional<SocketAddress> address;  ///< of the server, over UDP
    std::unique_ptr<StreamClient> stream;  ///< over TCP and TLS
    StreamFramer framer;
    std::optional<TimePoint> connect_at;
    bool connecting = false;
    TurnState told = TurnState::kIdle;
};

IceServers::IceServers(EventLoop& loop, const Clock& clock, Random& random,
                       IceServerOptions options, const SocketAddress& local,
                       std::uint32_t transaction_prefix, IceServersHost& host, Resolve resolve)
    : loop_(loop),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      local_(local),
      transaction_prefix_(transaction_prefix),
      host_(host),
      resolver_(loop),
      resolve_(resolve ? std::move(resolve)
                       : [this](const std::string& name,
                                Resolver::Done done) { resolver_.resolve(name, std::move(done)); }),
      timer_(loop) {
    for (const StunServerOptions& server : options_.stun) {
        reflexive_.push_back(std::make_unique<Reflexive>());
        reflexive_.back()->server = server;
    }
    for (const TurnServerOptions& server : options_.turn) {
        auto relay = std::make_unique<Relay>();
        relay->id = static_cast<std::uint32_t>(relays_.size() + 1);
        relay->server = server;
        TurnOptions turn;
        turn.reliable = server.transport != TurnTransport::kUdp;
        turn.transaction_prefix = transaction_prefix_;
        turn.credentials = [this, &server = relay->server] { return credentials_of(server); };
        relay->client = std::make_unique<TurnClient>(std::move(turn), random_);
        relays_.push_back(std::move(relay));
    }
}

IceServers::~IceServers() {
    // As far as it goes: over UDP the endpoint flushes once more.
    for (const auto& relay : relays_) {
        relay->client->release(clock_.now());
        while (const auto out = relay->client->poll_output()) {
            if (relay->address) host_.send_to_server(*relay->address, *out);
            if (relay->stream) (void)relay->stream->send(*out).ok();
        }
    }
}

void IceServers::start() {
    for (std::size_t i = 0; i < reflexive_.size(); ++i) resolve_stun(i);
    for (const auto& relay : relays_) connect_relay(*relay);
}

// ---- names ----

std::optional<SocketAddress> IceServers::usable(const std::string& address,
                                                std::uint16_t port) const {
    const std::optional<IpAddress> ip = IpAddress::parse(address);
    if (!ip) return std::nullopt;
    // An IPv6 socket that is bound to one address is not dual-stack.
    const bool v4_too = !local_.ip.is_v6() || local_.ip.is_unspecified();
    if (ip->is_v6() ? !local_.ip.is_v6() : !v4_too) return std::nullopt;
    return SocketAddress{*ip, port};
}

/// At first, and whenever one of its addresses has failed and is to be tried again.
bool IceServers::wants_lookup(const Reflexive& server, TimePoint now) const {
    if (server.resolving) return false;
    if (server.resolve_at) return *server.resolve_at <= now;
    return std::any_of(server.clients.begin(), server.clients.end(),
                       [now](const StunClient& client) {
                           return client.failed() && client.next_timeout() <= now;
                       });
}

void IceServers::resolve_stun(std::size_t index) {
    Reflexive& server = *reflexive_[index];
    server.resolving = true;
    server.resolve_at.reset();
    resolve_(server.server.host, [this, index](const Result<Resolver::Addresses>& addresses) {
        Reflexive& resolved = *reflexive_[index];
        resolved.resolving = false;
        const TimePoint now = clock_.now();
        if (addresses.ok()) {
            take_stun_addresses(resolved, *addresses);
        } else {
            kLog.warn("event=stun-unresolved error=\"{}\"", addresses.error().detail);
        }
        if (resolved.clients.empty()) resolved.resolve_at = now + kTryAgain;
        // Where nothing new was learned, what is known is tried again.
        for (StunClient& client : resolved.clients) client.handle_timeout(now);
        drain(resolved);
        arm();
    });
}

void IceServers::take_stun_addresses(Reflexive& server, const Resolver::Addresses& addresses) {
    std::set<bool> families;
    std::vector<StunClient> clients;
    for (const std::string& text : addresses) {
        const auto address = usable(text, server.server.port);
        if (!address || !families.insert(address->ip.is_v6()).second) continue;
        const auto known =
            std::find_if(server.clients.begin(), server.clients.end(),
                         [&](const StunClient& client) { return client.server() == *address; });
        if (known != server.clients.end()) {
            clients.push_back(*known);
        } else {
            clients.emplace_back(*address, transaction_prefix_, random_);
            clients.back().start(clock_.now());
        }
    }
    server.clients = std::move(clients);
    if (server.clients.empty()) {
        kLog.warn("event=stun-unreachable server={} reason=\"no address of our families\"",
                  server.server.host);
    }
}

void IceServers::connect_relay(Relay& relay) {
    relay.connect_at.reset();
    if (relay.server.transport != TurnTransport::kUdp) return open_stream(relay);
    relay.connecting = true;
    resolve_(relay.server.host, [this, &relay](const Result<Resolver::Addresses>& addresses) {
        relay.connecting = false;
        if (addresses.ok()) {
            open_relay(relay, *addresses);
        } else {
            kLog.warn("event=turn-unresolved error=\"{}\"", addresses.error().detail);
            relay.connect_at = clock_.now() + kTryAgain;
        }
        drain(relay);
        arm();
    });
}

void IceServers::open_relay(Relay& relay, const Resolver::Addresses& addresses) {
    for (const std::string& text : addresses) {
        relay.address = usable(text, relay.server.port);
        if (!relay.address) continue;
        relay.client->start(clock_.now());
        return;
    }
    kLog.warn("event=turn-unreachable server={} reason=\"no address of our families\"",
              relay.server.host);
    relay.connect_at = clock_.now() + kTryAgain;
}

// ---- streams ----

void IceServers::open_stream(Relay& relay) {
    relay.connecting = true;
    relay.framer = {};
    StreamClientOptions options;
    options.host = relay.server.host;
    options.port = relay.server.port;
    options.tls = relay.server.transport == TurnTransport::kTls;
    options.ca_file = options_.turn_ca_file;
    StreamClientCallbacks callbacks;
    callbacks.on_open = [this, &relay] {
        relay.connecting = false;
        relay.client->start(clock_.now());
        drain(relay);
        arm();
    };
    callbacks.on_data = [this, &relay](ByteSpan bytes) { read_stream(relay, bytes); };
    callbacks.on_closed = [this, &relay](const std::string& reason) { lose_stream(relay, reason); };
    relay.stream = std::make_unique<StreamClient>(loop_, std::move(options), std::move(callbacks));
}

void IceServers::read_stream(Relay& relay, ByteSpan bytes) {
    relay.framer.push(bytes);
    while (true) {
        const auto message = relay.framer.next();
        if (!message.ok()) {
            relay.stream.reset();
            lose_stream(relay, message.error().detail);
            break;
        }
        if (!*message) break;
        handle_relay_message(relay, **message);
    }
    drain(relay);
    arm();
    host_.on_relayed_end();
}

void IceServers::lose_stream(Relay& relay, const std::string& reason) {
    relay.connecting = false;
    relay.stream.reset();
    relay.client->stop(reason);
    kLog.warn("event=turn-lost server={} reason=\"{}\"", relay.server.host, reason);
    relay.told = TurnState::kIdle;
    relay.connect_at = clock_.now() + kTryAgain;
    arm();
}

// ---- messages ----

bool IceServers::handle_datagram(const SocketAddress& from, const IpAddress& local,
                                 ByteSpan datagram) {
    bool known = false;
    in_datagram_ = true;
    for (const auto& relay : relays_) {
        if (relay->address != from) continue;
        known = true;
        handle_relay_message(*relay, datagram);
        drain(*relay);
    }
    for (const auto& server : reflexive_) {
        for (StunClient& client : server->clients) {
            if (client.server() != from) continue;
            known = true;
            const Result<StunMessage> message = parse_stun(datagram);
            if (!message.ok()) continue;
            server->local = local;
            client.handle_response(clock_.now(), *message);
            drain(*server);
        }
    }
    in_datagram_ = false;
    if (known) arm();
    return known;
}

void IceServers::handle_relay_message(Relay& relay, ByteSpan message) {
    const auto data = relay.client->handle_message(clock_.now(), message);
    if (!data || data->bytes.empty()) return;
    host_.on_relayed({IpAddress(), data->from, relay.id}, data->bytes);
}

void IceServers::permit(const IpAddress& ip) {
    for (const auto& relay : relays_) {
        relay->client->permit(clock_.now(), ip);
        drain(*relay);
    }
    if (!relays_.empty() && !in_datagram_) arm();
}

void IceServers::send(const IcePath& path, ByteSpan datagram) {
    if (path.relay == 0 || path.relay > relays_.size()) return;
    Relay& relay = *relays_[path.relay - 1];
    relay.client->send(clock_.now(), path.remote, datagram);
    drain(relay);
    if (!armed_at_) arm();
}

TurnCredentials IceServers::credentials_of(const TurnServerOptions& server) const {
    if (options_.turn_secret.empty()) return {server.username, server.password};
    const auto made =
        crypto::turn_credentials(options_.turn_secret, server.username, clock_.wall_now());
    return {made.username, made.password};
}

// ---- what comes of it ----

void IceServers::drain(Reflexive& server) {
    for (StunClient& client : server.clients) {
        if (const auto out = client.poll_output()) host_.send_to_server(client.server(), *out);
    }
    tell_new_candidates();
}

void IceServers::drain(Relay& relay) {
    while (const auto out = relay.client->poll_output()) {
        if (relay.address) host_.send_to_server(*relay.address, *out);
        // What the stream has no room for is lost, as a datagram may be.
        if (relay.stream) (void)relay.stream->send(*out).ok();
    }
    const TurnState state = relay.client->state();
    if (state == relay.told) return;
    relay.told = state;
    if (state == TurnState::kFailed) {
        kLog.warn("event=turn-failed server={} reason=\"{}\"", relay.server.host,
                  relay.client->failure());
        if (relay.server.transport == TurnTransport::kUdp) {
            // Not the client's own next attempt, which would be at the same address.
            relay.client->stop(std::string(relay.client->failure()));
            relay.told = relay.client->state();
            relay.connect_at = clock_.now() + TurnClient::kRetry;
        }
    }
    if (state == TurnState::kAllocated) {
        kLog.info("event=turn-allocated server={} relayed={}", relay.server.host,
                  relay.client->relayed()->text());
    }
    tell_new_candidates();
}

bool IceServers::is_new(const SocketAddress& address, std::vector<SocketAddress>& seen) const {
    if (std::find(seen.begin(), seen.end(), address) != seen.end()) return false;
    seen.push_back(address);
    return true;
}

std::vector<Candidate> IceServers::candidates() const {
    std::vector<Candidate> all;
    std::vector<SocketAddress> seen;
    std::uint16_t preference = 65535;
    const auto add = [&](CandidateType type, const SocketAddress& address,
                         const SocketAddress& related, std::uint32_t relay) {
        if (!is_new(address, seen)) return;
        Candidate candidate;
        // RFC 8445 5.1.1.3: those of different types or servers have different foundations.
        candidate.foundation = (relay == 0 ? "s" : "r") + std::to_string(all.size() + 1);
        candidate.priority = candidate_priority(type, preference--);
        candidate.address = address;
        candidate.type = type;
        candidate.related = related;
        candidate.relay = relay;
        all.push_back(std::move(candidate));
    };
    for (const auto& server : reflexive_) {
        const SocketAddress base{server->local, local_.port};
        for (const StunClient& client : server->clients) {
            // No NAT: the host candidate says it already.
            if (!client.mapped() || *client.mapped() == base) continue;
            add(CandidateType::kServerReflexive, *client.mapped(), base, 0);
        }
    }
    for (const auto& relay : relays_) {
        if (!relay->client->relayed()) continue;
        const SocketAddress seen_as = relay->client->mapped().value_or(SocketAddress{});
        add(CandidateType::kRelayed, *relay->client->relayed(), seen_as, relay->id);
    }
    return all;
}

bool IceServers::gathering() const {
    const bool reflexive = std::any_of(reflexive_.begin(), reflexive_.end(), [](const auto& each) {
        return each->resolving ||
               std::any_of(each->clients.begin(), each->clients.end(),
                           [](const StunClient& client) { return client.gathering(); });
    });
    return reflexive || std::any_of(relays_.begin(), relays_.end(), [](const auto& each) {
               return each->connecting || each->client->state() == TurnState::kAllocating;
           });
}

void IceServers::tell_new_candidates() {
    const std::vector<Candidate> now = candidates();
    std::erase_if(told_, [&now](const SocketAddress& address) {
        return std::none_of(now.begin(), now.end(),
                            [&](const Candidate& each) { return each.address == address; });
    });
    for (const Candidate& candidate : now) {
        if (is_new(candidate.address, told_)) host_.on_server_candidate(candidate);
    }
}

void IceServers::run_timers() {
    const TimePoint now = clock_.now();
    for (std::size_t i = 0; i < reflexive_.size(); ++i) {
        Reflexive& server = *reflexive_[i];
        if (wants_lookup(server, now)) resolve_stun(i);
        for (StunClient& client : server.clients) {
            if (!server.resolving || !client.failed()) client.handle_timeout(now);
        }
        drain(server);
    }
    for (const auto& relay : relays_) {
        if (relay->connect_at && *relay->connect_at <= now) connect_relay(*relay);
        relay->client->handle_timeout(now);
        drain(*relay);
    }
    arm();
}

void IceServers::arm() {
    std::optional<TimePoint> next;
    const auto consider = [&next](const std::optional<TimePoint>& when) {
        if (when && (!next || *when < *next)) next = when;
    };
    for (const auto& server : reflexive_) {
        consider(server->resolve_at);
        for (const StunClient& client : server->clients) {
            if (!server->resolving || !client.failed()) consider(client.next_timeout());
        }
    }
    for (const auto& relay : relays_) {
        consider(relay->connect_at);
        consider(relay->client->next_timeout());
    }
    if (next == armed_at_) return;
    armed_at_ = next;
    if (!next) return timer_.cancel();
    timer_.start_at(*next, [this] {
        armed_at_.reset();
        run_timers();
    });
}

}  // namespace kollator::rtc
