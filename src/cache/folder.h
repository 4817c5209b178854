#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/file_system.h"
#include "base/ids.h"
#include "base/result.h"

namespace kollator::cache {

/// What a cache's folder holds besides the 256 folders of chunks.
inline constexpr const char* kTemporaryFolder = "tmp";
inline constexpr const char* kSnapshotName = "order.snapshot";
inline constexpr const char* kCleanMarkName = "closed";
inline constexpr const char* kScrubStateName = "scrub.state";
/// Files that have no business here and files that no chunk can be, out of the way, for a person to
/// look at. Nothing in it is read, served or counted. When it is full, foreign files stay where
/// they are, and broken ones are deleted.
inline constexpr const char* kAsideFolder = "aside";
inline constexpr std::size_t kMaxAsideFiles = 100;
inline constexpr std::uint64_t kMaxAsideBytes = 64ULL << 20;

struct FoundChunk {
    ChunkId id;
    std::uint32_t size_bytes = 0;
    std::int64_t last_used_ns = 0;  ///< the newer of the file's two times
};

struct FolderScan {
    std::vector<FoundChunk> chunks;  ///< in no order; contents are not checked yet
    std::size_t broken_files = 0;    ///< named as chunks, but of a size that no chunk's file has
    std::size_t foreign_files = 0;   ///< whatever else was there
    std::size_t put_aside = 0;       ///< of both
};

/// Makes the folder where it is missing, proves that it can be written to, and empties `tmp`.
/// Blocking.
Status prepare_folder(FileSystem& fs, const std::filesystem::path& folder);

/// Whether the cache was closed the last time it was used; takes the mark away for this time.
/// Blocking.
bool take_clean_mark(FileSystem& fs, const std::filesystem::path& folder);

/// Names and sizes of all chunks in the folder; puts aside what is none. Reads no file. Blocking:
/// about 5 us a file.
Result<FolderScan> scan_folder(FileSystem& fs, const std::filesystem::path& folder);

}  // namespace kollator::cache
