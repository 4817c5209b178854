#include "cli/worker_client.h"

#include <curl/curl.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "config/command_line.h"

namespace kollator::cli {
namespace {

using nlohmann::json;

constexpr long kConnectTimeoutMs = 10'000;
constexpr long kTimeoutMs = 120'000;                // a store that is slow, retried
constexpr std::size_t kMaxReplyBytes = 64UL << 20;  // a page of 1,000 torrents is below 1 MB
constexpr std::size_t kMaxToldBodyBytes = 300;

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
    auto& body = *static_cast<std::string*>(to);
    if (body.size() + size > kMaxReplyBytes) return 0;  // ends the transfer
    body.append(data, size);
    return size;
}

/// The worker's own words: {"error":{"code","message"}}.
std::string message_of(const HttpReply& reply) {
    const json document = json::parse(reply.body, nullptr, false);
    if (document.is_object() && document.contains("error")) {
        const json& error = document["error"];
        if (error.is_object() && error.contains("message") && error["message"].is_string()) {
            return error["message"].get<std::string>();
        }
    }
    return reply.body.substr(0, kMaxToldBodyBytes);
}

Failure not_understood(const std::string& what) {
    return {config::kExitFailure,
            "the answer is not a worker's (" + what + "): is this the address of a worker?"};
}

std::optional<std::string> text_at(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

std::uint64_t number_at(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

}  // namespace

struct WorkerClient::Curl {
    Curl() : easy(curl_easy_init()) {}
    ~Curl() { curl_easy_cleanup(easy); }
    Curl(const Curl&) = delete;
    Curl& operator=(const Curl&) = delete;
    CURL* const easy;
};

WorkerClient::WorkerClient(WorkerAddress address)
    : address_(std::move(address)), curl_(std::make_unique<Curl>()) {}

WorkerClient::~WorkerClient() = default;

Result<HttpReply> WorkerClient::exchange(const std::string& method, const std::string& path) {
    CURL* easy = curl_->easy;
    if (easy == nullptr) return make_error(ErrorCode::kInternal, "libcurl cannot be used");
    curl_easy_reset(easy);
    HttpReply reply;
    const std::string url = address_.url + path;
    curl_slist* headers = nullptr;
    if (!address_.admin_token.empty()) {
        headers =
            curl_slist_append(nullptr, ("Authorization: Bearer " + address_.admin_token).c_str());
    }
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // The token is for this worker: no proxy of the environment, no other host.
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTimeoutMs);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply.body);
    const CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) return make_error(ErrorCode::kUnavailable, curl_easy_strerror(code));
    return reply;
}

std::optional<Failure> WorkerClient::ask(const std::string& method, const std::string& path,
                                         std::string& body) {
    auto reply = exchange(method, path);
    if (!reply) {
        return Failure{kExitUnreachable,
                       "no worker answers at " + address_.url + ": " + reply.error().detail};
    }
    if (reply->status == 401 || reply->status == 403) {
        const char* advice = address_.admin_token.empty() ? "; set ADMIN_TOKEN to the worker's"
                                                          : "; ADMIN_TOKEN is not the worker's";
        return Failure{kExitForbidden, "not allowed: " + message_of(*reply) + advice};
    }
    if (reply->status == 404) return not_understood("404");
    if (reply->status != 200) {
        return Failure{
            config::kExitFailure,
            "the worker answered " + std::to_string(reply->status) + ": " + message_of(*reply)};
    }
    body = std::move(reply->body);
    return std::nullopt;
}

std::optional<Failure> WorkerClient::list(const Query& query, Page& page) {
    const char* kind = query.torrents ? "torrents" : "chunks";
    std::string path = std::string("/") + kind + "?limit=1000&store=" + (query.cached ? "0" : "1");
    if (!query.after.empty()) path += "&after=" + query.after;
    std::string body;
    if (auto failure = ask("GET", path, body)) return failure;

    const json document = json::parse(body, nullptr, false);
    if (!document.is_object() || !document.contains(kind) || !document[kind].is_array()) {
        return not_understood("no list");
    }
    for (const json& one : document[kind]) {
        const auto hash = one.is_object() ? text_at(one, "hash") : std::nullopt;
        if (!hash) return not_understood("an entry without a hash");
        page.entries.push_back({*hash, number_at(one, query.torrents ? "metadataSize" : "size"),
                                text_at(one, "name"), query.torrents ? number_at(one, "size") : 0});
    }
    page.next = text_at(document, "next");
    // Else it would be asked for again and again.
    if (page.next && *page.next <= query.after) return not_understood("pages out of order");
    return std::nullopt;
}

std::optional<Failure> WorkerClient::remove(bool torrent, const std::string& hash,
                                            Removed& removed) {
    std::string body;
    const std::string path = (torrent ? "/torrents/" : "/chunks/") + hash;
    if (auto failure = ask("DELETE", path, body)) return failure;
    const json document = json::parse(body, nullptr, false);
    if (!document.is_object() || !document.contains("due")) return not_understood("no outcome");
    if (const auto due_s = number_at(document, "due"); due_s > 0) {
        removed.due_s = static_cast<std::int64_t>(due_s);
    }
    return std::nullopt;
}

}  // namespace kollator::cli
