#include "http/object_endpoints.h"

#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "http/admin_guard.h"

namespace kollator::http {
namespace {

using nlohmann::json;

constexpr std::size_t kDefaultPageEntries = 1000;   // CHUNK_LIST's default, protocol.md 2.2
constexpr std::size_t kMaxPageEntries = 10'000;     // about 1 MB of JSON
constexpr std::size_t kMaxStorePageEntries = 1000;  // what an object store lists at once
constexpr std::size_t kMaxTorrentPageEntries = 1000;

struct Endpoints {
    ObjectHooks hooks;
    std::string admin_token;
};
using EndpointsPtr = std::shared_ptr<const Endpoints>;

std::string dump(const json& document) {
    // A torrent's name is what a stranger wrote.
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

Response bad_request(std::string_view why) {
    return error_response(400, "bad-request", why);
}

Response failure_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kLimit:
        case ErrorCode::kUnavailable:
        case ErrorCode::kTimeout:
        case ErrorCode::kCorrupt:
            return unavailable_response(error.detail);
        default:
            return error_response(500, "internal", error.detail);
    }
}

std::optional<std::size_t> parse_limit(std::string_view text, std::size_t max) {
    std::size_t limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || limit == 0 || limit > max) return std::nullopt;
    return limit;
}

/// The query, or the refusal.
std::variant<ListQuery, Response> parse_query(const Request& request, std::size_t max_cached) {
    ListQuery query;
    if (const auto text = request.query_value("store")) {
        if (*text != "0" && *text != "1") return bad_request("'store' must be 0 or 1");
        if (*text == "1") query.scope = ListScope::kObjectStore;
    }
    if (const auto text = request.query_value("after")) {
        const auto id = ChunkId::from_hex(*text);
        if (!id) return bad_request("'after' must be a name: 64 lowercase hex digits");
        query.after = id->bytes();
    }
    const std::size_t max =
        query.scope == ListScope::kObjectStore ? kMaxStorePageEntries : max_cached;
    query.limit = kDefaultPageEntries;
    if (const auto text = request.query_value("limit")) {
        const auto limit = parse_limit(*text, max);
        if (!limit) return bad_request("'limit' must be a number from 1 to " + std::to_string(max));
        query.limit = *limit;
    }
    return query;
}

/// Answers with what `to_text` makes of a listing.
template <typename Listing>
std::function<void(Result<Listing>)> answer_with(const Responder& responder,
                                                 std::string (*to_text)(const Listing&)) {
    return [responder, to_text](const Result<Listing>& listing) {
        responder.send(
            fresh(listing ? json_response(200, to_text(*listing)) : failure_of(listing.error())));
    };
}

void get_chunks(const Endpoints& self, const Request& request, const Responder& responder) {
    const auto parsed = parse_query(request, kMaxPageEntries);
    if (const auto* refusal = std::get_if<Response>(&parsed)) return responder.send(*refusal);
    const auto& query = std::get<ListQuery>(parsed);
    if (query.scope == ListScope::kObjectStore) {
        if (auto refusal = refuse_unless_admin(request, self.admin_token)) {
            return responder.send(*std::move(refusal));
        }
    }
    self.hooks.chunks(query, answer_with<ChunkListing>(responder, chunks_json));
}

void get_torrents(const Endpoints& self, const Request& request, const Responder& responder) {
    if (auto refusal = refuse_unless_admin(request, self.admin_token)) {
        return responder.send(*std::move(refusal));
    }
    const auto parsed = parse_query(request, kMaxTorrentPageEntries);
    if (const auto* refusal = std::get_if<Response>(&parsed)) return responder.send(*refusal);
    self.hooks.torrents(std::get<ListQuery>(parsed),
                        answer_with<TorrentListing>(responder, torrents_json));
}

template <typename Id, typename Remove>
void delete_object(const Endpoints& self, const Remove& remove, const Request& request,
                   const Responder& responder) {
    if (auto refusal = refuse_unless_admin(request, self.admin_token)) {
        return responder.send(*std::move(refusal));
    }
    const auto id = Id::from_hex(request.param("hash"));
    if (!id) return responder.send(bad_request("a name has 64 lowercase hex digits"));
    remove(*id, [responder, id = *id](const Result<Removal>& removal) {
        if (!removal) return responder.send(failure_of(removal.error()));
        json due = nullptr;
        if (removal->due_s > 0) due = removal->due_s;
        responder.send(json_response(
            200,
            dump({{"hash", id.hex()}, {"removed", removal->due_s == 0}, {"due", std::move(due)}})));
    });
}

template <typename Listing>
json page_json(const char* name, json entries, const Listing& listing, json last) {
    return {{name, std::move(entries)},
            {"more", listing.more},
            {"next", listing.more ? std::move(last) : json()}};
}

}  // namespace

std::string chunks_json(const ChunkListing& listing) {
    json chunks = json::array();
    for (const ListedChunk& chunk : listing.chunks) {
        chunks.push_back({{"hash", chunk.id.hex()}, {"size", chunk.size_bytes}});
    }
    json last = listing.chunks.empty() ? json() : json(listing.chunks.back().id.hex());
    return dump(page_json("chunks", std::move(chunks), listing, std::move(last)));
}

std::string torrents_json(const TorrentListing& listing) {
    json torrents = json::array();
    for (const ListedTorrent& torrent : listing.torrents) {
        json one = {{"hash", torrent.id.hex()},
                    {"metadataSize", torrent.metadata_bytes},
                    {"name", nullptr},
                    {"size", nullptr}};
        if (torrent.name) {
            one["name"] = *torrent.name;
            one["size"] = torrent.length_bytes;
        }
        torrents.push_back(std::move(one));
    }
    json last = listing.torrents.empty() ? json() : json(listing.torrents.back().id.hex());
    return dump(page_json("torrents", std::move(torrents), listing, std::move(last)));
}

void add_object_endpoints(HttpServer& server, ObjectHooks hooks, std::string admin_token) {
    KOLLATOR_CHECK(hooks.chunks && hooks.torrents && hooks.remove_chunk && hooks.remove_torrent);
    const EndpointsPtr self =
        std::make_shared<const Endpoints>(Endpoints{std::move(hooks), std::move(admin_token)});
    server.route("GET", "/chunks", [self](const Request& request, const Responder& responder) {
        get_chunks(*self, request, responder);
    });
    server.route("GET", "/torrents", [self](const Request& request, const Responder& responder) {
        get_torrents(*self, request, responder);
    });
    server.route("DELETE", "/chunks/{hash}",
                 [self](const Request& request, const Responder& responder) {
                     delete_object<ChunkId>(*self, self->hooks.remove_chunk, request, responder);
                 });
    server.route(
        "DELETE", "/torrents/{hash}", [self](const Request& request, const Responder& responder) {
            delete_object<MetadataId>(*self, self->hooks.remove_torrent, request, responder);
        });
}

}  // namespace kollator::http
