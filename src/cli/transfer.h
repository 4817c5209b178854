#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/ids.h"
#include "cli/share_link.h"
#include "cli/worker_access.h"
#include "cli/worker_client.h"
#include "loop/job_pool.h"

// Putting and getting one file: chunks side by side, a few in memory, whatever the file's size.
namespace kollator::cli {

inline constexpr int kExitNotFound = 5;   ///< the worker does not have it
inline constexpr int kExitLocalFile = 6;  ///< a file of this machine cannot be read or written

/// Of one file. Bytes.
struct TransferProgress {
    std::uint64_t total = 0;
    std::uint64_t done = 0;     ///< stored or written, or there already, and what is on its way
    std::uint64_t skipped = 0;  ///< of these, what was there already
};

/// What transfers share; outlives them.
struct TransferContext {
    EventLoop& loop;
    JobPool& jobs;
    FileSystem& files;
    WorkerAccess& access;
    std::function<void(const TransferProgress&)> on_progress;
};

/// What an error of a worker means to a script.
Failure failure_of(const Error& error, const WorkerAccess& access);
Failure local_failure(const Error& error);

/// Chunks in flight: read, hashed, sent or written. With 5 MiB chunks 30 MiB of memory.
inline constexpr std::size_t kTransferWindow = 6;

/// The contract's chunk size, or what the worker takes: whole MiB, or a power of two below, as the
/// page chooses it. Zero where the worker takes less than 16 KiB.
std::uint32_t chunk_size_for(std::uint32_t max_chunk_bytes);

struct PutResult {
    ShareLink link;  ///< without a front
    std::uint64_t size_bytes = 0;
    std::size_t chunks = 0;
    std::size_t sent = 0;  ///< of these; the others were there
};

/// Stores one file: asks for each chunk whether it is there, sends what is not, and the metadata
/// last, so that a link works at once. A second run of an interrupted one sends what is missing.
class Upload {
 public:
    using Done = std::function<void(const std::optional<Failure>&, const PutResult&)>;

    /// Begins. `done` runs once, never before this returned. Destroying it drops what is under way.
    Upload(TransferContext& context, std::filesystem::path path, Done done);
    ~Upload();

    struct Impl;

 private:
    std::shared_ptr<Impl> impl_;
};

struct SharedFileInfo {
    std::string name;  ///< a stranger's words
    std::uint64_t size_bytes = 0;
    std::uint32_t chunk_size_bytes = 0;
    std::vector<ChunkId> chunks;

    std::uint32_t chunk_bytes(std::size_t index) const;
};

/// Fetches and verifies the metadata behind a link. `done` runs once.
void open_share(TransferContext& context, const MetadataId& info_hash,
                std::function<void(Result<SharedFileInfo>)> done);

/// A name that is safe to make here: without folders or control characters.
std::string safe_name(const std::string& name, const MetadataId& info_hash);

struct GetOptions {
    std::filesystem::path output;  ///< empty: the share's name, in the current folder; "-": stdout
    bool replace = false;          ///< an existing output
};

struct GetResult {
    std::filesystem::path path;
    std::uint64_t size_bytes = 0;
    std::size_t chunks = 0;
    std::size_t fetched = 0;  ///< of these; the others were in the partial file
};

/// Fetches one file beside its name, `<name>.<8 digits of the info-hash>.part`, and renames it when
/// all of it is right. What a partial file has is verified and not fetched again.
class Download {
 public:
    using Done = std::function<void(const std::optional<Failure>&, const GetResult&)>;

    /// Begins. `done` runs once, never before this returned. Destroying it drops what is under way.
    Download(TransferContext& context, const MetadataId& info_hash, GetOptions options, Done done);
    ~Download();

    struct Impl;

 private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace kollator::cli
