#include "chunk/chunk_lists.h"

#include <vector>

#include "crypto/metainfo.h"

namespace kollator::chunk {
namespace {

/// In a job: parsing takes milliseconds.
std::vector<ChunkId> chunks_of(const BufferSlice& metadata) {
    std::vector<ChunkId> chunks;
    const auto info = crypto::parse_metainfo(metadata.bytes, metadata.bytes.size());
    if (!info) return chunks;
    chunks.reserve(info->chunk_count());
    for (std::size_t index = 0; index < info->chunk_count(); ++index) {
        chunks.push_back(info->chunk(index));
    }
    return chunks;
}

}  // namespace

void ChunkLists::learn(const MetadataId& id) {
    if (told_.contains(id) || reading_.size() >= kMaxReads) return;
    const auto cached = metadata_cache_.find_again(ChunkId(id.bytes()));
    if (!cached) return;
    if (told_.size() >= kMaxRemembered) told_.clear();
    told_.insert(id);
    reading_[id] = cached;
    cached->read(0, cached->size_bytes(),
                 [this, alive = std::weak_ptr(alive_), id](const Result<BufferSlice>& bytes) {
                     if (!alive.expired()) on_bytes(id, bytes);
                 });
}

void ChunkLists::on_bytes(const MetadataId& id, const Result<BufferSlice>& bytes) {
    if (!bytes) {
        reading_.erase(id);
        return;
    }
    jobs_.run(
        loop_, [slice = *bytes] { return chunks_of(slice); },
        [this, alive = std::weak_ptr(alive_), id](const std::vector<ChunkId>& chunks) {
            if (alive.expired()) return;
            reading_.erase(id);
            chunk_cache_.learn_file(chunks);
        });
}

}  // namespace kollator::chunk
