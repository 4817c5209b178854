#include "peer/bootstrap.h"

#include <utility>

#include "protocol/json.h"

namespace kollator::peer {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
    const std::string* found = protocol::find_string(object, name);
    return found != nullptr ? *found : std::string();
}

void add_worker(const json& value, std::vector<WorkerAddress>& workers) {
    if (!value.is_object() || workers.size() >= kMaxBootstrapWorkers) return;
    WorkerAddress worker{text_of(value, "id"), text_of(value, "url")};
    if (!worker.id.empty()) workers.push_back(std::move(worker));
}

void add_ice_server(const json& value, std::vector<IceServerAddress>& servers) {
    const json* urls = value.is_object() ? protocol::find_member(value, "urls") : nullptr;
    if (urls == nullptr) return;
    const auto add = [&](const json& url) {
        if (!url.is_string() || servers.size() >= kMaxBootstrapIceServers) return;
        servers.push_back(
            {url.get<std::string>(), text_of(value, "username"), text_of(value, "credential")});
    };
    if (!urls->is_array()) return add(*urls);
    for (const json& url : *urls) add(url);
}

/// A front behind a TLS proxy may not know that it is.
std::string signaling_url(std::string advertised, const std::string& front_url) {
    const bool secure = front_url.starts_with("https:");
    if (!advertised.starts_with("ws://") && !advertised.starts_with("wss://")) {
        advertised = join_url(front_url, "/signaling");
        advertised.replace(0, 4, "ws");  // http: ws:, https: wss:
    }
    if (secure && advertised.starts_with("ws://")) advertised.insert(2, "s");
    return advertised;
}

}  // namespace

Result<Bootstrap> parse_bootstrap(std::string_view body, const std::string& front_url) {
    const auto document = protocol::parse_json_object(body);
    if (!document) return document.error();
    Bootstrap found;
    if (const json* worker = protocol::find_member(*document, "worker")) {
        add_worker(*worker, found.workers);
    }
    const json* alternatives = protocol::find_member(*document, "alternatives");
    if (alternatives != nullptr && alternatives->is_array()) {
        for (const json& worker : *alternatives) add_worker(worker, found.workers);
    }
    if (found.workers.empty()) {
        return make_error(ErrorCode::kNotFound, "the front knows no worker");
    }
    found.signaling_url = signaling_url(text_of(*document, "signaling"), front_url);
    const json* servers = protocol::find_member(*document, "iceServers");
    if (servers != nullptr && servers->is_array()) {
        for (const json& server : *servers) add_ice_server(server, found.ice_servers);
    }
    return found;
}

void bootstrap(HttpClient& http, const std::string& front_url,
               std::function<void(Result<Bootstrap>)> done) {
    HttpRequest request;
    request.method = "POST";
    request.url = join_url(front_url, "/bootstrap");
    http.send(std::move(request), [front_url, done = std::move(done)](Result<HttpReply> reply) {
        if (!reply) return done(reply.error());
        if (reply->status == 503 || reply->status == 404) {
            return done(make_error(ErrorCode::kNotFound, "the front knows no worker"));
        }
        if (reply->status != 200) {
            return done(make_error(ErrorCode::kUnavailable,
                                   "the front answered " + std::to_string(reply->status)));
        }
        done(parse_bootstrap(reply->body, front_url));
    });
}

}  // namespace kollator::peer
