#include "chunk/blob_kind.h"

#include <utility>

#include "crypto/metainfo.h"

namespace kollator::chunk {
namespace {

Error mismatch(const store::ObjectKey& key) {
    return make_error(ErrorCode::kCorrupt, "the bytes do not match the name " + key.path());
}

}  // namespace

std::shared_ptr<cache::CachedChunk> CachedBlobs::find(const store::ObjectKey& key) {
    return cache_.find(ChunkId(key.hash));
}

std::shared_ptr<cache::CachedChunk> CachedBlobs::find_again(const store::ObjectKey& key) {
    return cache_.find_again(ChunkId(key.hash));
}

void CachedBlobs::keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) {
    cache_.insert(ChunkId(key.hash), std::move(bytes), std::move(on_done));
}

void CachedBlobs::drop(const store::ObjectKey& key) {
    cache_.remove(ChunkId(key.hash));
}

Result<crypto::Sha256Digest> ChunkBlobs::verify(const store::ObjectKey& key, ByteSpan bytes) const {
    const crypto::Sha256Digest digest = crypto::sha256(bytes);
    if (bytes.empty() || digest != key.hash) return mismatch(key);
    return digest;
}

void MetadataBlobs::keep(const store::ObjectKey& key, SharedBuffer bytes, OnKept on_done) {
    drop(key);  // which an insert would leave as it is
    CachedBlobs::keep(
        key, std::move(bytes),
        [this, id = MetadataId(key.hash), on_done = std::move(on_done)](const Status& status) {
            if (status) on_kept_(id);
            on_done(status);
        });
}

Result<crypto::Sha256Digest> MetadataBlobs::verify(const store::ObjectKey& key,
                                                   ByteSpan bytes) const {
    const auto info = crypto::parse_metainfo(bytes, max_bytes());
    if (!info) return make_error(ErrorCode::kInvalid, info.error().detail);
    if (info->info_hash.bytes() != key.hash) return mismatch(key);
    return crypto::sha256(bytes);
}

}  // namespace kollator::chunk
