#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/result.h"

namespace kollator::chunk {

/// protocol.md 2.2, CHUNK_STAT.
enum class Residency : std::uint8_t {
    kNotStored = 0,
    kObjectStore = 1,
    kCachedHere = 2,
    kFellow = 3,
    kUnknown = 0xFF,
};

struct ChunkStat {
    std::uint32_t size_bytes = 0;  ///< 0 where not stored or unknown
    Residency residency = Residency::kUnknown;
};

/// protocol.md 2.2, CHUNK_STORE.
enum class Durability : std::uint8_t { kJournaled = 1, kObjectStore = 2 };

struct StoreOutcome {
    bool already_there = false;
    Durability durability = Durability::kObjectStore;
};

struct ChunkEntry {
    ChunkId id;
    std::uint32_t size_bytes = 0;
};

struct ChunkPage {
    std::vector<ChunkEntry> entries;  ///< ascending by name
    bool more = false;
};

/// One request's way through a blob (a chunk or a torrent's metadata): bytes are pulled as the
/// requester takes them, so that a slow one holds a window and never the whole. Loop thread only.
/// Destroying it ends the request.
class Reader {
 public:
    virtual ~Reader() = default;

    /// The whole blob's size; 0 until it is known. Known before next() gives the first slice.
    virtual std::uint32_t total_bytes() const = 0;
    /// Where the next slice begins in the blob.
    virtual std::uint32_t position() const = 0;
    /// True when the last byte of the range has been given out.
    virtual bool finished() const = 0;

    /// The next piece, at most `max_bytes`, in order; empty where it has to be waited for: then
    /// `on_ready` of open() runs once when next() is worth calling again. The last slice of a blob
    /// that is still being fetched comes only after its SHA-256 was verified. An error ends the
    /// request: kNotFound, kUnavailable, kTimeout, kCorrupt, kLimit, kInvalid (the range begins
    /// past the end).
    /// REQUIRES: !finished(), no error was given before.
    virtual Result<std::optional<BufferSlice>> next(std::uint32_t max_bytes) = 0;
};

/// The decisions about a chunk: verify, one fetch for all who ask, cache, durability. Loop thread
/// only; callbacks run there, once, and never before the call returned.
class ChunkService {
 public:
    using OnReady = std::function<void()>;
    using OnStored = std::function<void(Result<StoreOutcome>)>;
    using OnStat = std::function<void(std::vector<ChunkStat>)>;
    using OnPage = std::function<void(Result<ChunkPage>)>;

    virtual ~ChunkService() = default;

    /// Reads [offset, offset + length) of a chunk; length 0 or past the end: to the end. From the
    /// cache where it is there; else from the object store, where all who ask for the same chunk
    /// share one GET, and get its bytes as they arrive.
    virtual std::unique_ptr<Reader> open(const ChunkId& id, std::uint32_t offset,
                                         std::uint32_t length, OnReady on_ready) = 0;
    /// The same for a fellow worker, for which no other fellow is asked.
    virtual std::unique_ptr<Reader> open_for_fellow(const ChunkId& id, std::uint32_t offset,
                                                    std::uint32_t length, OnReady on_ready) {
        return open(id, offset, length, std::move(on_ready));
    }
    virtual std::unique_ptr<Reader> open(const MetadataId& id, std::uint32_t offset,
                                         std::uint32_t length, OnReady on_ready) = 0;

    /// For what the cache keeps: a reader (one connection; its number is never used again) asks for
    /// a chunk; it has gone.
    virtual void reader_at(std::uint64_t reader, const ChunkId& id) = 0;
    virtual void reader_left(std::uint64_t reader) = 0;

    /// A buffer for a blob that a client sends, leased from the uploads' budget: kLimit where that
    /// is used up (the client is told BUSY), kInvalid over the size limit (TOO_LARGE).
    virtual Result<std::shared_ptr<Buffer>> allocate(std::uint32_t size_bytes) = 0;

    /// Verifies `bytes` against `id`, stores and caches them. kCorrupt: they do not match (and
    /// nothing was kept). kUnavailable, kTimeout: the object store cannot be reached. Answered once
    /// the durability it names holds (protocol.md, section 3).
    virtual void store(const ChunkId& id, SharedBuffer bytes, OnStored on_done) = 0;
    /// Besides: kInvalid where it is no BitTorrent v2 metainfo dictionary (BEP 52).
    virtual void store(const MetadataId& id, SharedBuffer bytes, OnStored on_done) = 0;

    /// In the order asked; unknown after 5 s at most.
    virtual void stat(std::vector<ChunkId> ids, OnStat on_done) = 0;

    /// What is known without asking the object store, at once; the rest is unknown. 1,000 names
    /// take under 1 ms.
    virtual std::vector<ChunkStat> stat_known(const std::vector<ChunkId>& ids) = 0;

    /// What is on this disk (cached, or on its way to the object store), or what is in the object
    /// store, with names greater than `after`.
    virtual ChunkPage list_cached(const ChunkId& after, std::size_t limit) = 0;
    virtual void list_stored(const ChunkId& after, std::size_t limit, OnPage on_done) = 0;

    virtual std::uint32_t max_chunk_bytes() const = 0;
    virtual std::uint32_t max_metadata_bytes() const = 0;
};

}  // namespace kollator::chunk
