#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/result.h"

// A chunk's file, `<cache>/<first two hex digits>/<64 hex digits>`. Integers are big-endian.
//
//   offset           bytes  field
//   0                N      the chunk, 1 byte to 64 MiB
//   N                8 * B  XXH3-64 of each block of 64 KiB (the last one may be shorter);
//                           B = N / 65536, rounded up
//   N + 8 * B        8      magic "KOLLCHNK"
//            + 8     2      version, 1
//            + 10    2      zero
//            + 12    4      block size, 65536
//            + 16    4      N
//            + 20    4      zero
//            + 24    32     the chunk's name, so that a renamed file is found out
//            + 56    8      XXH3-64 of everything from offset N to here
//
// N follows from the file's size alone (file_bytes_of() grows strictly), so a scan needs no read.
// The checksums are written when the chunk's SHA-256 has just been verified; a block that matches
// its own is therefore a part of the named chunk. They guard against disks and torn writes, not
// against someone who may write into the folder.
//
// A file is written beside and renamed, never synced: after a power cut it may be there with any
// content at all, and the checksums say so. A cache may lose what it likes.

namespace kollator::cache {

inline constexpr std::uint32_t kBlockBytes = 64 * 1024;
inline constexpr std::uint32_t kMaxChunkBytes = 64U << 20;
inline constexpr std::uint32_t kTrailerBytes = 64;

/// A chunk's data and its footer. REQUIRES: 0 < chunk_bytes <= kMaxChunkBytes.
constexpr std::uint64_t file_bytes_of(std::uint32_t chunk_bytes) {
    const std::uint64_t blocks = (std::uint64_t{chunk_bytes} + kBlockBytes - 1) / kBlockBytes;
    return chunk_bytes + 8 * blocks + kTrailerBytes;
}

/// The inverse; empty where no chunk's file has this size.
std::optional<std::uint32_t> chunk_bytes_of(std::uint64_t file_bytes);

/// Below the cache's folder.
std::filesystem::path chunk_path(const ChunkId& id);

/// Writes `temporary` and renames it to `path`, whose folder is made where it is missing. Leaves no
/// temporary file behind. Blocking.
Status write_chunk_file(FileSystem& fs, const std::filesystem::path& temporary,
                        const std::filesystem::path& path, const ChunkId& id, ByteSpan chunk);

enum class ReadMode : std::uint8_t { kMayBlock, kNoWait };

/// An open chunk's file whose footer has been checked. Immutable: any thread may read.
class ChunkFile {
 public:
    /// Blocking. kCorrupt where the footer is not the one of `id` with `chunk_bytes`.
    static Result<std::shared_ptr<const ChunkFile>> open(FileSystem& fs,
                                                         const std::filesystem::path& path,
                                                         const ChunkId& id,
                                                         std::uint32_t chunk_bytes);

    /// The bytes [offset, offset + length): the blocks that cover them are read into one buffer and
    /// each is checked; the slice is of that buffer. Empty (kNoWait only) where the page cache does
    /// not have them all. kCorrupt on a mismatch or a short file.
    /// REQUIRES: 0 < length, offset + length <= chunk_bytes.
    Result<std::optional<BufferSlice>> read(std::uint32_t offset, std::uint32_t length,
                                            ReadMode mode) const;

    /// Whether the kernel has its first block in memory.
    bool is_in_memory() const;
    void drop_cached() const { file_->drop_cached(); }

 private:
    ChunkFile(std::unique_ptr<File> file, std::uint32_t chunk_bytes,
              std::vector<std::uint64_t> sums)
        : file_(std::move(file)), chunk_bytes_(chunk_bytes), block_sums_(std::move(sums)) {}

    const std::unique_ptr<File> file_;
    const std::uint32_t chunk_bytes_;
    const std::vector<std::uint64_t> block_sums_;
};

/// Reads the whole file from the disk (what the kernel has of it in memory proves nothing of the
/// disk), and checks its footer, every block, and with `by_name` that the SHA-256 of all is the
/// name. Blocking: some ms for 5 MiB. kCorrupt, or what open_read and read_at give. What the kernel
/// did not have before it does not keep.
Status check_chunk_file(FileSystem& fs, const std::filesystem::path& path, const ChunkId& id,
                        std::uint32_t chunk_bytes, bool by_name);

/// XXH3-64; for the snapshot too.
std::uint64_t checksum(ByteSpan bytes);

}  // namespace kollator::cache
