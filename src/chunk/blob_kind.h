#pragma once

#include <functional>
#include <list>
#include <map>
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
    /// REQUIRES: `bytes` have been verified.
    virtual void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) = 0;

    /// The SHA-256 of all bytes. kCorrupt: they do not match the name; kInvalid: malformed. Any
    /// thread; takes milliseconds.
    virtual Result<crypto::Sha256Digest> verify(const store::ObjectKey& key,
                                                ByteSpan bytes) const = 0;
};

class ChunkBlobs final : public BlobKind {
 public:
    ChunkBlobs(cache::DiskCache& disk_cache, std::uint32_t max_bytes)
        : cache_(disk_cache), max_bytes_(max_bytes) {}

    std::uint32_t max_bytes() const override { return max_bytes_; }
    bool cut_through() const override { return true; }
    std::shared_ptr<cache::CachedChunk> find(const store::ObjectKey& key) override;
    std::shared_ptr<cache::CachedChunk> find_again(const store::ObjectKey& key) override;
    void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) override;
    Result<crypto::Sha256Digest> verify(const store::ObjectKey& key, ByteSpan bytes) const override;

 private:
    cache::DiskCache& cache_;
    const std::uint32_t max_bytes_;
};

/// Metadata is kept in memory, the most recently used within a bound.
class MetadataBlobs final : public BlobKind {
 public:
    MetadataBlobs(EventLoop& loop, std::uint32_t max_bytes, std::size_t memory_bytes)
        : loop_(loop), max_bytes_(max_bytes), memory_bytes_(memory_bytes) {}

    std::uint32_t max_bytes() const override { return max_bytes_; }
    bool cut_through() const override { return false; }
    std::shared_ptr<cache::CachedChunk> find(const store::ObjectKey& key) override;
    std::shared_ptr<cache::CachedChunk> find_again(const store::ObjectKey& key) override;
    void keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) override;
    Result<crypto::Sha256Digest> verify(const store::ObjectKey& key, ByteSpan bytes) const override;

 private:
    struct Kept {
        store::ObjectKey key;
        SharedBuffer bytes;
    };

    EventLoop& loop_;
    const std::uint32_t max_bytes_;
    const std::size_t memory_bytes_;
    std::size_t used_bytes_ = 0;
    std::list<Kept> order_;  // most recently used first
    std::map<store::ObjectKey, std::list<Kept>::iterator> kept_;
};

}  // namespace kollator::chunk
