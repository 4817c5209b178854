#include "chunk/blob_kind.h"

#include <utility>

#include "base/check.h"
#include "crypto/metainfo.h"

namespace kollator::chunk {
namespace {

/// Bytes in memory, read as a cached chunk is.
class MemoryBlob final : public cache::CachedChunk {
 public:
    explicit MemoryBlob(SharedBuffer bytes) : bytes_(std::move(bytes)) {}

    std::uint32_t size_bytes() const override { return static_cast<std::uint32_t>(bytes_->size()); }
    std::optional<Result<BufferSlice>> try_read(std::uint32_t offset,
                                                std::uint32_t length) override {
        return Result(BufferSlice{bytes_, bytes_->span().subspan(offset, length)});
    }
    void read(std::uint32_t, std::uint32_t, OnRead) override {
        KOLLATOR_CHECK(false);  // try_read() never leaves anything to wait for
    }

 private:
    const SharedBuffer bytes_;
};

Error mismatch(const store::ObjectKey& key) {
    return make_error(ErrorCode::kCorrupt, "the bytes do not match the name " + key.path());
}

}  // namespace

std::shared_ptr<cache::CachedChunk> ChunkBlobs::find(const store::ObjectKey& key) {
    return cache_.find(ChunkId(key.hash));
}

std::shared_ptr<cache::CachedChunk> ChunkBlobs::find_again(const store::ObjectKey& key) {
    return cache_.find_again(ChunkId(key.hash));
}

void ChunkBlobs::keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) {
    cache_.insert(ChunkId(key.hash), std::move(bytes), std::move(on_done));
}

Result<crypto::Sha256Digest> ChunkBlobs::verify(const store::ObjectKey& key, ByteSpan bytes) const {
    const crypto::Sha256Digest digest = crypto::sha256(bytes);
    if (bytes.empty() || digest != key.hash) return mismatch(key);
    return digest;
}

std::shared_ptr<cache::CachedChunk> MetadataBlobs::find(const store::ObjectKey& key) {
    return find_again(key);
}

std::shared_ptr<cache::CachedChunk> MetadataBlobs::find_again(const store::ObjectKey& key) {
    const auto found = kept_.find(key);
    if (found == kept_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return std::make_shared<MemoryBlob>(found->second->bytes);
}

void MetadataBlobs::keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) {
    Status status;
    if (bytes->size() > memory_bytes_) {
        status = make_error(ErrorCode::kLimit, "larger than all that may be kept");
    } else if (!kept_.contains(key)) {
        // A copy: the original may hold a part of a budget that is not ours.
        auto copy = std::make_shared<Buffer>(bytes->size());
        std::copy(bytes->span().begin(), bytes->span().end(), copy->data());
        used_bytes_ += copy->size();
        order_.push_front({key, std::move(copy)});
        kept_.emplace(key, order_.begin());
        while (used_bytes_ > memory_bytes_) {
            used_bytes_ -= order_.back().bytes->size();
            kept_.erase(order_.back().key);
            order_.pop_back();
        }
    }
    loop_.post([on_done = std::move(on_done), status] { on_done(status); });
}

Result<crypto::Sha256Digest> MetadataBlobs::verify(const store::ObjectKey& key,
                                                   ByteSpan bytes) const {
    const auto info = crypto::parse_metainfo(bytes, max_bytes_);
    if (!info) return make_error(ErrorCode::kInvalid, info.error().detail);
    if (info->info_hash.bytes() != key.hash) return mismatch(key);
    return crypto::sha256(bytes);
}

}  // namespace kollator::chunk
