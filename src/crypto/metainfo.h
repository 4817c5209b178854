#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace kollator::crypto {

/// What a worker needs of a BitTorrent v2 metainfo file (BEP 52; protocol.md 2.3). Views into the
/// bytes that were parsed: it never outlives them.
struct Metainfo {
    MetadataId info_hash;            ///< SHA-256 of the bencoded `info` value, exactly as it came
    std::string_view name;           ///< for people only: never a path (no check for "..")
    std::uint64_t length_bytes = 0;  ///< of all files of the tree together
    std::uint32_t file_count = 0;
    std::uint32_t piece_length_bytes = 0;
    std::uint32_t chunk_size_bytes = 0;  ///< `kollator-chunk-size`; 0: a torrent without chunks
    ByteSpan chunk_hashes;               ///< `kollator-chunk-hashes`: 32 bytes a chunk, file order

    std::size_t chunk_count() const { return chunk_hashes.size() / ChunkId::kSize; }
    /// REQUIRES: index < chunk_count().
    ChunkId chunk(std::size_t index) const {
        return *ChunkId::from_bytes(chunk_hashes.subspan(index * ChunkId::kSize, ChunkId::kSize));
    }
};

/// A chunk is at most this large, whatever is configured: MAX_CHUNK_BYTES may not pass it either.
inline constexpr std::uint32_t kMaxKollatorChunkBytes = 64U << 20;

/// Parses a whole metainfo file and hashes its info dictionary: about 5 ms for 8 MiB, so not on the
/// loop. kInvalid, saying why, where it is no BitTorrent v2 metainfo: no canonical bencode; `info`
/// without `meta version` 2, `name`, `piece length` (a power of two of 16 KiB or more) and a
/// `file tree` of at least one file; a chunk list whose number of hashes does not fit the length of
/// a single file. kLimit over `max_bytes`.
Result<Metainfo> parse_metainfo(ByteSpan bytes, std::size_t max_bytes = 8U << 20);

}  // namespace kollator::crypto
