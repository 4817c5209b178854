#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/result.h"

// The order snapshot, `<cache>/order.snapshot`. Integers are big-endian.
//
//   offset        bytes   field
//   0             8       magic "KOLLORDR"
//   8             2       version, 1
//   10            2       zero
//   12            4       count of items
//   16            48 * n  items, least recently used first:
//                         name[32], hits u64, last use u64 (ns since 1970)
//   16 + 48 * n   8       XXH3-64 of everything before
//
// It says nothing about which chunks there are: the folder does. Lost or damaged, the order falls
// back to the files' times, and nothing else is lost.

namespace kollator::cache {

struct SnapshotItem {
    ChunkId id;
    std::uint64_t hits = 0;
    std::int64_t last_used_ns = 0;

    bool operator==(const SnapshotItem&) const = default;
};

Bytes encode_snapshot(const std::vector<SnapshotItem>& items);
/// kCorrupt where it is not exactly one snapshot.
Result<std::vector<SnapshotItem>> decode_snapshot(ByteSpan bytes);

/// Replaces `path` by way of `temporary`, unsynced: a torn one is found out by its checksum.
Status write_snapshot(FileSystem& fs, const std::filesystem::path& temporary,
                      const std::filesystem::path& path, ByteSpan snapshot);

/// 2,000,000 items: more chunks than a cache of 128 GB in pieces of 64 KiB.
inline constexpr std::size_t kMaxSnapshotBytes = 16 + 48 * 2'000'000 + 8;

}  // namespace kollator::cache
