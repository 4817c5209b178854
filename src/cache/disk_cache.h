#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "cache/policy/eviction_policy.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::cache {

struct CacheOptions {
    std::filesystem::path path;
    std::uint64_t max_bytes = 300ULL * 1000 * 1000;  ///< of chunk data and its checksums
    /// What is kept may be replaced under its name (metadata, of which the last stored stands):
    /// after a crash or a power cut an older version may be what is left, so then nothing is kept.
    bool replaceable = false;
    Duration max_age{};                             ///< since last use; zero: no limit
    PolicyKind policy = PolicyKind::kSessionAware;  ///< who is let in, and who goes
    /// How often the order is written when it changed, and the aged are dropped.
    Duration upkeep_interval = std::chrono::minutes(1);
    std::size_t max_open_files = 256;  ///< files kept open, beside reads under way
    /// How long open_disk_cache() may wait until the folder is indexed; the rest is done while the
    /// cache is in use.
    Duration start_wait = std::chrono::minutes(1);
};

struct CacheEntry {
    ChunkId id;
    std::uint32_t size_bytes = 0;
};

struct CacheUse {
    ChunkId id;
    std::uint64_t hits = 0;
};

struct CacheUses {
    std::optional<CacheUse> most_accessed;
    std::optional<CacheUse> least_accessed;
};

struct CacheStats {
    std::uint64_t chunks = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t max_bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t insertions = 0;
    std::uint64_t foreseeable = 0;  ///< chunks of which the policy knows in which file they stand
    std::uint64_t rejections = 0;   ///< not taken in: what was there is worth more
    std::uint64_t evictions = 0;
    std::uint64_t corruptions = 0;  ///< found by a read or by verify(), and dropped
    std::uint64_t put_aside = 0;    ///< files that are no chunk's, at the start
    /// The folder is still being indexed: what is not yet is a miss, inserts are refused.
    bool loading = false;
    /// The folder cannot be used: since the start (everything is a miss; tried again at each
    /// upkeep), or for now (several writes failed one after the other, or the disk is full; what is
    /// there is served, inserts are refused).
    bool bypassed = false;
    std::string bypass_reason;
};

/// A cached chunk that someone reads: it is not evicted while one of these lives. Loop thread only.
class CachedChunk {
 public:
    using OnRead = std::function<void(Result<BufferSlice>)>;

    virtual ~CachedChunk() = default;
    virtual std::uint32_t size_bytes() const = 0;

    /// The bytes [offset, offset + length), checked against the checksums that were written when
    /// the chunk's SHA-256 was verified. Comes at once where the page cache has them; empty where
    /// the disk must be waited for: then use read(). kCorrupt: the chunk has been dropped; fetch it
    /// anew. REQUIRES: 0 < length, offset + length <= size_bytes().
    virtual std::optional<Result<BufferSlice>> try_read(std::uint32_t offset,
                                                        std::uint32_t length) = 0;

    /// As try_read, through the job pool. Destroying the CachedChunk cancels the callback.
    virtual void read(std::uint32_t offset, std::uint32_t length, OnRead on_done) = 0;
};

/// Chunks on this worker's disk, bounded by bytes; which one goes is the policy's to say. A file's
/// name is the chunk's hash, in 256 folders; the index is built by a scan at the start, its order
/// kept in a snapshot that may be lost. The index belongs to the loop's thread; files are touched
/// by jobs. Nothing is ever given out that does not match the checksums of verified bytes.
class DiskCache {
 public:
    using OnDone = std::function<void(Status)>;

    virtual ~DiskCache() = default;

    /// No use is counted.
    virtual std::optional<std::uint32_t> size_of(const ChunkId& id) const = 0;

    /// Counts a hit and makes the chunk the most recently used, or counts a miss and gives null.
    virtual std::shared_ptr<CachedChunk> find(const ChunkId& id) = 0;

    /// As find, for a request that has been counted already: counts nothing.
    virtual std::shared_ptr<CachedChunk> find_again(const ChunkId& id) = 0;

    /// Somebody is likely to ask for it: counts as a request when it is decided what to keep, and
    /// as neither hit nor miss.
    virtual void expect(const ChunkId& id) = 0;

    /// What readers will want next, for a policy that looks ahead: the chunks of a file, in order;
    /// that a reader (one connection; its number is never used again) asked for a chunk; that it
    /// has gone.
    virtual void learn_file(const std::vector<ChunkId>& chunks) = 0;
    virtual void reader_at(ReaderId reader, const ChunkId& id) = 0;
    virtual void reader_left(ReaderId reader) = 0;

    /// Keeps `bytes`, whose SHA-256 the caller has verified to be `id`. Space is reserved
    /// (evicting) before the write; the chunk can be found once `on_done` says so. Errors: kLimit
    /// (no room that is not in use, or none that this chunk is worth; too many inserts wait; the
    /// disk is full), kUnavailable (bypassed, I/O), kInvalid (empty, or over 64 MiB). Already
    /// there: success. `on_done` may be empty.
    virtual void insert(const ChunkId& id, SharedBuffer bytes, OnDone on_done) = 0;

    /// Drops a chunk; readers keep what they have open.
    virtual void remove(const ChunkId& id) = 0;

    /// Drops all that nobody reads, also what insert() is about to write; gives the number of
    /// chunks dropped.
    virtual void clear(std::function<void(std::size_t dropped)> on_done) = 0;

    /// Up to `limit` chunks with a name greater than `after`, ascending.
    virtual std::vector<CacheEntry> list(const ChunkId& after, std::size_t limit) const = 0;

    virtual CacheStats stats() const = 0;
    /// Looks at every chunk: 20 ms for a million.
    virtual CacheUses uses() const = 0;

    /// Reads a chunk from the disk and checks it whole, its SHA-256 against its name (but where
    /// what is kept may be replaced under its name). Counts as no use. kCorrupt: it was damaged,
    /// and has been dropped; kNotFound: it is not cached; kLimit: out of descriptors.
    virtual void verify(const ChunkId& id, OnDone on_done) = 0;

    /// Told, on the loop, of each chunk that can be found from now on or no longer; not of what is
    /// indexed at the start (when_loaded(), list()). Set once; must not call the cache.
    using Observer = std::function<void(const ChunkId& id, bool there)>;
    virtual void observe(Observer observer) = 0;

    /// Runs `on_ready` once the folder is indexed, or cannot be.
    virtual void when_loaded(std::function<void()> on_ready) = 0;

    /// Writes the order snapshot, waits for writes under way. Called once, before destruction.
    virtual void close(OnDone on_done) = 0;
};

/// Scans the folder in a job, and waits for it for start_wait at most: at start-up, before the loop
/// runs. A folder that cannot be used gives a cache in bypass, not an error. `loop`, `jobs`, `fs`
/// and `clock` outlive the cache; `jobs` goes after it.
std::unique_ptr<DiskCache> open_disk_cache(EventLoop& loop, JobPool& jobs, FileSystem& fs,
                                           const Clock& clock, CacheOptions options);

}  // namespace kollator::cache
