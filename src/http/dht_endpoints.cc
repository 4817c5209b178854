#include "http/dht_endpoints.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "http/admin_guard.h"

namespace kollator::http {
namespace {

using nlohmann::json;

Response not_here() {
    return error_response(501, "not-enabled",
                          "this worker is not in the DHT: DHT_ENABLED and DHT_BOOTSTRAP_NODES");
}

json peers_json(const std::vector<DhtPeer>& peers) {
    json out = json::array();
    for (const DhtPeer& peer : peers) {
        const bool v6 = peer.address.find(':') != std::string::npos;
        out.push_back({{"address", peer.address}, {"port", peer.port}, {"family", v6 ? 6 : 4}});
    }
    return out;
}

Response peers_response(const std::string& hash, const InfoHash& key,
                        const std::vector<DhtPeer>& peers) {
    const json document = {{"hash", hash}, {"infoHash", key.hex()}, {"peers", peers_json(peers)}};
    return fresh(json_response(200, document.dump()));
}

Response bad_hash() {
    return error_response(400, "bad-request", "a name has 64 lowercase hex digits");
}

void post_announce(const DhtHooks& hooks, const std::string& token, const Request& request,
                   const Responder& responder) {
    if (auto refusal = refuse_unless_admin(request, token)) {
        return responder.send(*std::move(refusal));
    }
    if (!hooks.announce) return responder.send(not_here());
    const auto announced = hooks.announce();
    if (!announced) return responder.send(unavailable_response(announced.error().detail));
    responder.send(json_response(200, json{{"announced", *announced}}.dump()));
}

void get_lookup(const DhtHooks& hooks, const Request& request, const Responder& responder) {
    if (!hooks.look_up) return responder.send(not_here());
    const auto id = ChunkId::from_hex(request.param("hash"));
    if (!id) return responder.send(bad_hash());
    hooks.look_up(*id, [responder, id = *id](const Result<std::vector<DhtPeer>>& peers) {
        responder.send(peers ? peers_response(id.hex(), to_info_hash(id), *peers)
                             : unavailable_response(peers.error().detail));
    });
}

/// A DHT key as it is, too: who announces may be no worker at all.
void get_peers(const DhtHooks& hooks, const Request& request, const Responder& responder) {
    if (!hooks.heard) return responder.send(not_here());
    const std::string hash(request.param("hash"));
    std::optional<InfoHash> key = InfoHash::from_hex(hash);
    if (const auto id = ChunkId::from_hex(hash)) key = to_info_hash(*id);
    if (!key) return responder.send(bad_hash());
    responder.send(peers_response(hash, *key, hooks.heard(*key)));
}

}  // namespace

double DhtStats::success_rate() const {
    if (lookups_done == 0) return 1;
    return 1 - static_cast<double>(lookups_unanswered) / static_cast<double>(lookups_done);
}

json dht_json(const DhtStats& stats) {
    json tables = json::array();
    for (const DhtStats::Table& table : stats.tables) {
        tables.push_back({{"family", table.v6 ? 6 : 4},
                          {"nodeId", table.node_id},
                          {"nodes", table.nodes},
                          {"replacements", table.replacements}});
    }
    return {{"enabled", stats.enabled},
            {"readOnly", stats.read_only},
            {"ports", stats.ports},
            {"listenError", stats.listen_error},
            {"announcements", stats.announcements},
            {"queries", stats.queries},
            {"peers", stats.peers},
            {"announcer",
             {{"keys", stats.keys},
              {"due", stats.due},
              {"late", stats.late},
              {"oldestAge", stats.oldest_s},
              {"failures", stats.announce_failures},
              {"acknowledged", stats.acknowledged},
              {"refusedKeys", stats.refused_keys},
              {"memoryBytes", stats.memory_bytes},
              {"packetsPerSecondLimit", stats.packets_per_second},
              {"packetsPerSecondNeeded", stats.packets_needed}}},
            {"lookups",
             {{"asked", stats.lookups},
              {"cached", stats.lookups_cached},
              {"shared", stats.lookups_shared},
              {"refused", stats.lookups_refused},
              {"done", stats.lookups_done},
              {"withPeers", stats.lookups_found},
              {"unanswered", stats.lookups_unanswered},
              {"successRate", stats.success_rate()}}},
            {"messages",
             {{"sent", stats.queries},
              {"answered", stats.answers},
              {"timeouts", stats.timeouts},
              {"dropped", stats.dropped},
              {"refused", stats.refused_sends}}},
            {"heard",
             {{"keys", stats.peer_keys},
              {"peers", stats.peers},
              {"announcements", stats.peers_announced}}},
            {"network",
             {{"tables", std::move(tables)},
              {"contacts", stats.contacts},
              {"good", stats.good},
              {"stale", stats.stale},
              {"estimatedSize", static_cast<std::uint64_t>(stats.network_size)},
              {"rttMs", stats.rtt_ms},
              {"rttP99Ms", stats.rtt_p99_ms},
              {"silence", stats.silence_s},
              {"lost", stats.lost},
              {"rejoins", stats.rejoins}}}};
}

void add_dht_endpoints(HttpServer& server, DhtHooks given, const std::string& admin_token) {
    const auto hooks = std::make_shared<const DhtHooks>(std::move(given));
    server.route("POST", "/dht/announce",
                 [hooks, admin_token](const Request& request, const Responder& responder) {
                     post_announce(*hooks, admin_token, request, responder);
                 });
    server.route("GET", "/dht/lookup/{hash}",
                 [hooks](const Request& request, const Responder& responder) {
                     get_lookup(*hooks, request, responder);
                 });
    server.route("GET", "/dht/peers/{hash}",
                 [hooks](const Request& request, const Responder& responder) {
                     get_peers(*hooks, request, responder);
                 });
}

}  // namespace kollator::http
