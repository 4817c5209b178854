#pragma once

#include <atomic>
#include <bitset>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/file_system.h"
#include "store/object_store.h"

namespace kollator::store {

/// The blocking half of the filesystem store: what its jobs do. Thread-safe; knows no loop.
///
/// A PUT:  tmp/<nonce> created, written, fdatasync  →  renamed to chunks/ab/<hash>  →  fsync of
/// chunks/ab. What is under an object's name is therefore always whole and on the disk; what is
/// under tmp/ is never looked at. `nonce` names a temporary file and must never repeat.
class ObjectFiles {
 public:
    /// Told after each piece of a body; false ends the read with kCancelled.
    using OnPiece = std::function<bool(const SharedBuffer& buffer, std::size_t available_bytes,
                                       std::uint64_t object_size)>;

    ObjectFiles(FileSystem& fs, const std::filesystem::path& root);

    /// Makes the folders and their names durable. Once it has succeeded it does nothing.
    Status prepare();

    /// Removes temporary files that no living writer can still need; gives their number.
    Result<std::size_t> clean(const std::string& nonce);

    Result<SharedBuffer> get(const ObjectKey& key, const GetOptions& options,
                             const OnPiece& on_piece);
    Result<PutOutcome> put(const ObjectKey& key, ByteSpan body, const std::string& nonce);
    Result<std::uint64_t> stat(const ObjectKey& key);
    Result<ListPage> list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                          std::size_t limit);
    Status remove(const ObjectKey& key);
    /// Writes, syncs and removes one byte.
    Status probe(const std::string& nonce);

    const std::filesystem::path& root() const { return root_; }

 private:
    static constexpr std::size_t kFanOut = 256;

    std::filesystem::path folder_of(ObjectKind kind) const;
    std::filesystem::path folder_of(const ObjectKey& key) const;
    std::filesystem::path path_of(const ObjectKey& key) const;
    std::filesystem::path temporary(const std::string& nonce) const;

    Status make_durable_folder(const std::filesystem::path& path);
    Status ensure_folder(const ObjectKey& key);
    Status write_temporary(const std::filesystem::path& path, ByteSpan body);
    Result<bool> already_there(const ObjectKey& key, std::size_t size_bytes);
    Status sync_folder(const ObjectKey& key);
    Error missing(ObjectKind kind, Error not_found);
    Status names_after(ObjectKind kind, std::size_t folder,
                       const std::array<std::uint8_t, 32>& after,
                       std::vector<std::array<std::uint8_t, 32>>& names);

    // Injected.
    FileSystem& fs_;
    const std::filesystem::path root_;

    // State, guarded by mutex_.
    std::mutex mutex_;
    bool prepared_ = false;
    /// Folders whose own name is durable; by kind, then by the hash's first byte.
    std::bitset<2 * kFanOut> durable_folders_;
    /// Folders whose fsync has failed once. A later success would prove nothing about names that
    /// were there before, so nothing in them counts as already there.
    std::bitset<2 * kFanOut> suspect_folders_;
};

}  // namespace kollator::store
