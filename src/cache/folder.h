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

struct FoundChunk {
    ChunkId id;
    std::uint32_t size_bytes = 0;
    std::int64_t last_used_ns = 0;  ///< the newer of the file's two times
};

struct FolderScan {
    std::vector<FoundChunk> chunks;  ///< in no order; contents are not checked yet
    std::size_t dropped_files = 0;   ///< named as chunks, but of a size that no chunk's file has
    std::size_t foreign_files = 0;   ///< left alone, not counted, never served
};

/// Makes the folder where it is missing, proves that it can be written to, and empties `tmp`.
/// Blocking.
Status prepare_folder(FileSystem& fs, const std::filesystem::path& folder);

/// Whether the cache was closed the last time it was used; takes the mark away for this time.
/// Blocking.
bool take_clean_mark(FileSystem& fs, const std::filesystem::path& folder);

/// Names and sizes of all chunks in the folder. Reads no file. Blocking: about 5 us a file.
Result<FolderScan> scan_folder(FileSystem& fs, const std::filesystem::path& folder);

}  // namespace kollator::cache
