#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "http/http_server.h"

namespace kollator::http {

/// The lists of what is cached and stored, and its deletion.

struct ListedChunk {
    ChunkId id;
    std::uint64_t size_bytes = 0;
};

struct ChunkListing {
    std::vector<ListedChunk> chunks;  ///< ascending by name
    bool more = false;
};

struct ListedTorrent {
    MetadataId id;
    std::uint64_t metadata_bytes = 0;  ///< of the metainfo file
    /// Of the files that it describes; empty where that would have to be fetched first.
    std::optional<std::string> name;
    std::uint64_t length_bytes = 0;
};

struct TorrentListing {
    std::vector<ListedTorrent> torrents;  ///< ascending by name
    bool more = false;
};

enum class ListScope : std::uint8_t { kCachedHere, kObjectStore };

struct ListQuery {
    ListScope scope = ListScope::kCachedHere;
    std::array<std::uint8_t, 32> after{};  ///< zeros: from the beginning
    std::size_t limit = 0;
};

/// What a deletion has done.
struct Removal {
    /// Seconds since 1970 from which on the object store's copy goes; 0: it is gone.
    std::int64_t due_s = 0;
};

/// What the endpoints ask of the worker. All run on the loop, and each answer comes there; kLimit,
/// kUnavailable and kTimeout are told as 503. Each is needed.
struct ObjectHooks {
    std::function<void(const ListQuery&, std::function<void(Result<ChunkListing>)> on_done)> chunks;
    std::function<void(const ListQuery&, std::function<void(Result<TorrentListing>)> on_done)>
        torrents;
    /// Removing what is not there succeeds.
    std::function<void(const ChunkId&, std::function<void(Result<Removal>)> on_done)> remove_chunk;
    std::function<void(const MetadataId&, std::function<void(Result<Removal>)> on_done)>
        remove_torrent;
};

/// Adds
///
///     GET /chunks?after=&limit=           what is cached; everybody
///     GET /chunks?store=1                 what the object store holds; admins, since a list costs
///     GET /torrents, /torrents?store=1    the same of torrents; admins, since an info-hash is all
///                                         that it takes to fetch the files
///     DELETE /chunks/{hash}, /torrents/{hash}    admins; 200 whether or not it was there
///
/// where an admin is who refuse_unless_admin() lets pass with `admin_token`.
void add_object_endpoints(HttpServer& server, ObjectHooks hooks, std::string admin_token);

/// {"chunks":[{"hash","size"}],"more","next"}: `next` is what `after` takes; null at the end.
std::string chunks_json(const ChunkListing& listing);

/// {"torrents":[{"hash","metadataSize","name","size"}],"more","next"}; name and size may be null.
std::string torrents_json(const TorrentListing& listing);

}  // namespace kollator::http
