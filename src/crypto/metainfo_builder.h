#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "crypto/hash.h"

// Makes the metainfo of one shared file (BEP 52; docs/protocol.md, 2.3): the same bytes, and so the
// same name, as the page's own (client/src/torrent/). Pure functions.
//
// A file's Merkle tree is put together from *units*, aligned sub-trees that never lie in two
// chunks, so that chunks can be hashed apart from each other.
namespace kollator::crypto {

/// BEP 52: a leaf is the SHA-256 of 16 KiB of the file.
inline constexpr std::uint32_t kLeafBytes = 16 * 1024;

/// A power of two that divides the chunk's size, 1 MiB at most; for a small file no larger than the
/// tree of its blocks. REQUIRES: a multiple of kLeafBytes.
std::uint32_t merkle_unit_bytes(std::uint32_t chunk_size_bytes, std::uint64_t file_bytes);

/// The roots of the units of `chunk`, which begins at a unit's boundary; missing leaves of the last
/// count as zeros. About 3 ms for 5 MiB: not on the loop.
std::vector<Sha256Digest> merkle_unit_roots(ByteSpan chunk, std::uint32_t unit_bytes);

struct SharedFile {
    std::string name;  ///< without a path
    std::uint64_t length_bytes = 0;
    std::uint32_t chunk_size_bytes = 0;
    std::vector<ChunkId> chunks;           ///< in file order
    std::vector<Sha256Digest> unit_roots;  ///< of all chunks, in file order
};

struct BuiltMetainfo {
    MetadataId info_hash;
    Bytes bytes;  ///< the whole dictionary, bencoded
};

/// A few milliseconds for a file of some gigabytes.
BuiltMetainfo build_metainfo(const SharedFile& file);

}  // namespace kollator::crypto
