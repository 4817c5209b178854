#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator {

/// An open file. Thread-safe as pread and pwrite are: by position, with no shared cursor.
class File {
 public:
    virtual ~File() = default;

    /// Reads up to `out.size()` bytes at `offset`; fewer only at the end of the file.
    virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) = 0;
    /// As read_at, but gives only what needs no wait for the disk (preadv2, RWF_NOWAIT); empty
    /// where the first byte would have to be waited for.
    virtual Result<std::optional<std::size_t>> read_at_nowait(std::uint64_t offset,
                                                              MutableByteSpan out) = 0;
    /// Writes all of `bytes`, or fails.
    virtual Status write_at(std::uint64_t offset, ByteSpan bytes) = 0;
    /// fdatasync. A failure is final: what was written is not on the disk, and a second call that
    /// succeeds proves nothing.
    virtual Status sync_data() = 0;
    virtual Result<std::uint64_t> size() const = 0;
    /// Tells the kernel that this range is wanted soon. A hint: no error.
    virtual void will_need(std::uint64_t offset, std::uint64_t length) = 0;
    /// Tells the kernel to forget what it has of this file in memory, so that the next read is one
    /// of the disk. A hint: what was not written back yet stays.
    virtual void drop_cached() {}
};

struct FileInfo {
    std::uint64_t size_bytes = 0;
    std::int64_t modified_ns = 0;  ///< since 1970
    std::int64_t accessed_ns = 0;
    bool is_directory = false;
    bool is_regular = false;
    std::uint32_t mode = 0;   ///< permission bits
    std::uint64_t inode = 0;  ///< another one where a file was replaced by a rename
};

struct SpaceInfo {
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;
};

/// The one seam between our code and the disk, so that tests can fill it, break it, and cut its
/// power. Errors: kNotFound (ENOENT), kLimit (ENOSPC, EDQUOT, EMFILE), kUnavailable (EIO, EROFS,
/// EACCES and the rest); the detail names the path and errno's text. Every call may block: job
/// threads and start-up only, but for File::read_at_nowait.
class FileSystem {
 public:
    virtual ~FileSystem() = default;

    virtual Result<std::unique_ptr<File>> open_read(const std::filesystem::path& path) = 0;
    /// For reading and writing; made with `mode` where it is missing, never truncated.
    virtual Result<std::unique_ptr<File>> open_write(const std::filesystem::path& path,
                                                     std::uint32_t mode = 0644) = 0;
    /// A new file; kInvalid where the name is taken (EEXIST).
    virtual Result<std::unique_ptr<File>> create(const std::filesystem::path& path,
                                                 std::uint32_t mode = 0644) = 0;
    /// Atomically replaces `to`. Not durable until sync_directory of both parents.
    virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
    virtual Status remove(const std::filesystem::path& path) = 0;
    virtual Status make_directories(const std::filesystem::path& path) = 0;
    virtual Status sync_directory(const std::filesystem::path& path) = 0;
    virtual Result<FileInfo> info(const std::filesystem::path& path) = 0;
    /// Calls `each` with the name of every entry but "." and "..", in no order; stops at false.
    virtual Status list(const std::filesystem::path& path,
                        const std::function<bool(const std::string& name)>& each) = 0;
    virtual Result<SpaceInfo> space(const std::filesystem::path& path) = 0;
};

/// The machine's own file system. Lives for ever, thread-safe.
FileSystem& posix_file_system();

/// Makes `path` and what is missing above it; no power cut takes the names of those away after it.
/// That of `path` is synced even where it was there, as far as its parent may be opened: whoever
/// made it may have died before its fsync.
Status make_directories_durably(FileSystem& fs, const std::filesystem::path& path);

/// Whole small files (configuration, keys, snapshots), for start-up and job threads. kLimit where
/// the file is larger than `max_bytes`.
Result<Bytes> read_file(FileSystem& fs, const std::filesystem::path& path, std::size_t max_bytes);

/// Writes beside, syncs, renames over, syncs the folder: after it returns, a power cut leaves the
/// new content; before, the old or the new, never a mixture.
Status write_file_durably(FileSystem& fs, const std::filesystem::path& path, ByteSpan bytes,
                          std::uint32_t mode = 0644);

}  // namespace kollator
