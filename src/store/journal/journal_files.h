#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "store/object_store.h"

// A pending object's file, `<root>/<number>-<chunks|torrents>-<hash>`: 16 hex digits that say which
// came first, the kind, 64 hex digits.
//
//   offset  bytes  field
//   0       N      the object, 1 byte to kMaxObjectBytes
//   N       32     SHA-256 of the object
//
// The number makes every file's name unique, so that a removal can never hit a file that was
// written later under the same object's name.

namespace kollator::store {

/// One file of the journal.
struct JournalName {
    std::uint64_t number = 0;  ///< the order of arrival, over restarts
    ObjectKey key{ChunkId()};

    std::string text() const;
    /// Empty where it is no journal file's name.
    static std::optional<JournalName> parse(std::string_view text);
    bool operator==(const JournalName&) const = default;
};

struct JournalFile {
    JournalName name;
    std::uint64_t size_bytes = 0;  ///< of the object
    std::array<std::uint8_t, 32> digest{};
    std::int64_t written_ns = 0;  ///< wall clock, since 1970
};

struct JournalScan {
    std::vector<JournalFile> files;  ///< ascending by number; one for each object
    std::size_t damaged_files = 0;   ///< named as pending objects, but of a size that none has
    std::size_t foreign_files = 0;   ///< left alone
};

/// An object as it was journaled, proved by its SHA-256.
struct JournaledBody {
    SharedBuffer body;
    std::array<std::uint8_t, 32> digest{};
};

/// The blocking half of the journal: what its jobs do. Thread-safe; knows no loop.
///
/// What write() acknowledged survives a power cut. An fsync that failed is final: the file that it
/// was for is removed and its writer told, and so is every other file whose name that fsync of the
/// folder was to make durable; no later fsync counts for them.
class JournalFiles {
 public:
    JournalFiles(FileSystem& fs, std::filesystem::path root) : fs_(fs), root_(std::move(root)) {}

    /// Makes the folder where it is missing, removes what was never acknowledged, and lists the
    /// rest, whose names are durable when it returns. Once, before anything else.
    Result<JournalScan> open();

    /// kLimit: the disk is full; kUnavailable: it is read-only or broken. In both cases nothing is
    /// left. `replaced` is an older file of the same object: it goes, for good, before write()
    /// returns, unless the disk fails just then.
    Status write(const JournalName& name, ByteSpan body, const std::array<std::uint8_t, 32>& digest,
                 const std::optional<JournalName>& replaced);

    /// The whole object, verified: kCorrupt where its bytes are not those that were written,
    /// kNotFound where the file is gone.
    Result<JournaledBody> load(const JournalName& name);

    /// As ObjectStore::get(): any range, not verified.
    Result<SharedBuffer> read(const JournalName& name, const GetOptions& options);

    /// Removes a file; one that is gone already is fine. A power cut may bring it back.
    Status remove(const JournalName& name);
    /// After it, no power cut brings back what remove() has removed.
    Status sync_removals();

    const std::filesystem::path& root() const { return root_; }

 private:
    Result<JournalFile> examine(const JournalName& name);
    void keep_newest(std::vector<JournalFile>& files);
    Status write_temporary(const std::filesystem::path& path, ByteSpan body, ByteSpan digest);
    Status sync_names(std::uint64_t ticket);

    FileSystem& fs_;
    const std::filesystem::path root_;

    std::atomic<bool> has_removed_{false};   // since the folder's last fsync
    std::atomic<std::uint64_t> tickets_{0};  // one for each rename
    std::mutex sync_mutex_;
    // Guarded by sync_mutex_: the tickets that a successful, and a failed, fsync covered.
    std::uint64_t durable_tickets_ = 0;
    std::uint64_t failed_tickets_ = 0;
};

}  // namespace kollator::store
