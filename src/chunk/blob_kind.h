#pragma once

#include <functional>
#include <memory>

#include "base/buffer.h"
#include "base/result.h"
#include "cache/disk_cache.h"
#include "crypto/hash.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// What differs between a chunk and a torrent's metadata on their way through the service: how they
/// are verified, where they are kept, and whether their bytes may go out before all are verified.
/// Loop thread only, but for verify().
class BlobKind {
 public:
    using OnKept = std::function<void(Status)>;

    virtual ~BlobKind() = default;
    virtual std::uint32_t max_bytes() const = 0;
    virtual bool cut_through() const = 0;

    /// Null where it is not kept. find() counts a hit or a miss, find_again() nothing.
    virtual std::shared_ptr<cache::CachedChunk> find(const store::ObjectKey& key) = 0;
    virtual std::shared_ptr<cache::CachedChunk> find_again(const store::ObjectKey& key) = 0;
    /// Somebody is likely to ask for it soon.
    virtual void expect(const store::ObjectKey&) {}
    /// REQUIRES: `bytes` have been verified.
    virtual void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) = 0;
    /// No longer kept, where it was; whoever reads it may go on. A keep() under way keeps nothing.
    virtual void drop(const store::ObjectKey& key) = 0;

    /// The SHA-256 of all bytes. kCorrupt: they do not match the name; kInvalid: malformed. Any
    /// thread; takes milliseconds.
    virtual Result<crypto::Sha256Digest> verify(const store::ObjectKey& key,
                                                ByteSpan bytes) const = 0;
};

/// Kept in a disk cache, by name.
class CachedBlobs : public BlobKind {
 public:
    std::uint32_t max_bytes() const override { return max_bytes_; }
    std::shared_ptr<cache::CachedChunk> find(const store::ObjectKey& key) override;
    std::shared_ptr<cache::CachedChunk> find_again(const store::ObjectKey& key) override;
    void expect(const store::ObjectKey& key) override { cache_.expect(ChunkId(key.hash)); }
    void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) override;
    void drop(const store::ObjectKey& key) override;

 protected:
    /// `disk_cache` outlives it.
    CachedBlobs(cache::DiskCache& disk_cache, std::uint32_t max_bytes)
        : cache_(disk_cache), max_bytes_(max_bytes) {}

 private:
    cache::DiskCache& cache_;
    const std::uint32_t max_bytes_;
};

class ChunkBlobs final : public CachedBlobs {
 public:
    ChunkBlobs(cache::DiskCache& disk_cache, std::uint32_t max_bytes)
        : CachedBlobs(disk_cache, max_bytes) {}

    bool cut_through() const override { return true; }
    Result<crypto::Sha256Digest> verify(const store::ObjectKey& key, ByteSpan bytes) const override;
};

class MetadataBlobs final : public CachedBlobs {
 public:
    using OnKeptName = std::function<void(const MetadataId&)>;

    /// `disk_cache`: another one than the chunks'. `on_kept` is told of what can be found in it
    /// now.
    MetadataBlobs(cache::DiskCache& disk_cache, std::uint32_t max_bytes, OnKeptName on_kept)
        : CachedBlobs(disk_cache, max_bytes), on_kept_(std::move(on_kept)) {}

    bool cut_through() const override { return false; }
    /// DEVIATION from a chunk's way: two metainfo files may share their info dictionary and differ
    /// outside of it; the last one stored stands.
    void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) override;
    Result<crypto::Sha256Digest> verify(const store::ObjectKey& key, ByteSpan bytes) const override;

 private:
    const OnKeptName on_kept_;
};

}  // namespace kollator::chunk
