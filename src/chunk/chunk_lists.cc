#include "chunk/chunk_lists.h"

#include "crypto/metainfo.h"

namespace kollator::chunk {
namespace {

struct ChunkList {
    std::vector<ChunkId> chunks;
    std::uint32_t chunk_bytes = 0;
};

/// In a job: parsing takes milliseconds.
ChunkList chunks_of(const BufferSlice& metadata) {
    ChunkList list;
    const auto info = crypto::parse_metainfo(metadata.bytes, metadata.bytes.size());
    if (!info) return list;
    list.chunk_bytes = info->chunk_size_bytes;
    list.chunks.reserve(info->chunk_count());
    for (std::size_t index = 0; index < info->chunk_count(); ++index) {
        list.chunks.push_back(info->chunk(index));
    }
    return list;
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
        [this, alive = std::weak_ptr(alive_), id](const ChunkList& list) {
            if (alive.expired()) return;
            reading_.erase(id);
            if (!list.chunks.empty()) on_file_(list.chunks, list.chunk_bytes);
        });
}

}  // namespace kollator::chunk
