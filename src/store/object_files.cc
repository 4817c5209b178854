#include "store/object_files.h"

#include <fmt/core.h>

#include <algorithm>

namespace kollator::store {
namespace {

/// A temporary file older than this belongs to no living PUT: one takes seconds. A writer that was
/// suspended for longer finds its file gone at the rename and fails; nothing wrong comes of it.
constexpr std::int64_t kTemporaryMaxAgeNs = 3600LL * 1'000'000'000;

/// Read and reported piece by piece, so that a reader can begin while the rest is being read.
constexpr std::size_t kPieceBytes = 256 << 10;

std::size_t index_of(const ObjectKey& key) {
    return static_cast<std::size_t>(key.kind) * 256 + key.hash[0];
}

std::string folder_name(std::size_t first_byte) {
    return fmt::format("{:02x}", first_byte);
}

/// What the seam says of a write, in the store's terms: a folder that is missing while we write is
/// a disk that went away, not an object that does not exist.
Error write_error(const Error& error) {
    if (error.code == ErrorCode::kLimit) return error;
    return make_error(ErrorCode::kUnavailable, error.detail);
}

/// Absolute and without a "/" at the end, so that parent_path() is the folder above.
std::filesystem::path absolute_folder(const std::filesystem::path& path) {
    std::error_code ignored;  // no current folder: the first request will say so
    auto whole = std::filesystem::absolute(path, ignored).lexically_normal();
    return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

ObjectFiles::ObjectFiles(FileSystem& fs, const std::filesystem::path& root)
    : fs_(fs), root_(absolute_folder(root)) {}

std::filesystem::path ObjectFiles::folder_of(ObjectKind kind) const {
    return root_ / (kind == ObjectKind::kChunk ? "chunks" : "torrents");
}

std::filesystem::path ObjectFiles::folder_of(const ObjectKey& key) const {
    return folder_of(key.kind) / folder_name(key.hash[0]);
}

std::filesystem::path ObjectFiles::path_of(const ObjectKey& key) const {
    return folder_of(key) / key.hex();
}

std::filesystem::path ObjectFiles::temporary(const std::string& nonce) const {
    return root_ / "tmp" / nonce;
}

Status ObjectFiles::make_durable_folder(const std::filesystem::path& path) {
    if (auto status = fs_.make_directories(path); !status) return write_error(status.error());
    // Even where it was there: the process that made it may have died, or not come to its fsync
    // yet.
    if (auto status = fs_.sync_directory(path.parent_path()); !status) {
        return write_error(status.error());
    }
    return {};
}

Status ObjectFiles::prepare() {
    const std::lock_guard lock(mutex_);
    if (prepared_) return {};
    const bool root_was_there = fs_.info(root_).ok();
    if (auto status = make_durable_folder(root_); !status) {
        // Whose folder the root stands in is the operator's affair: we may not be allowed to open
        // it.
        if (!root_was_there) return status;
    }
    for (const auto& folder :
         {folder_of(ObjectKind::kChunk), folder_of(ObjectKind::kTorrent), root_ / "tmp"}) {
        if (auto status = make_durable_folder(folder); !status) return status;
    }
    prepared_ = true;
    return {};
}

Result<std::size_t> ObjectFiles::clean(const std::string& nonce) {
    // A file made now tells the file system's own time, which is what the others are stamped with.
    const auto mark = temporary(nonce);
    if (auto file = fs_.create(mark); !file) return write_error(file.error());
    const auto now = fs_.info(mark);
    std::vector<std::string> names;
    auto status = fs_.list(root_ / "tmp", [&](const std::string& name) {
        names.push_back(name);
        return true;
    });
    (void)fs_.remove(mark);
    if (!now) return write_error(now.error());
    if (!status) return write_error(status.error());
    std::size_t removed = 0;
    for (const std::string& name : names) {
        const auto info = fs_.info(temporary(name));
        if (!info || !info->is_regular) continue;
        if (now->modified_ns - info->modified_ns < kTemporaryMaxAgeNs) continue;
        if (fs_.remove(temporary(name))) ++removed;
    }
    return removed;
}

Error ObjectFiles::missing(ObjectKind kind, Error not_found) {
    if (not_found.code != ErrorCode::kNotFound) return not_found;
    // statvfs follows a link, by which operators put the folder on another disk.
    if (fs_.space(folder_of(kind))) return not_found;
    return make_error(ErrorCode::kUnavailable, "the folder " + folder_of(kind).string() +
                                                   " is not there: is the disk mounted?");
}

Result<SharedBuffer> ObjectFiles::get(const ObjectKey& key, const GetOptions& options,
                                      const OnPiece& on_piece) {
    auto file = fs_.open_read(path_of(key));
    if (!file) return missing(key.kind, file.error());
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (options.offset > 0 && options.offset >= *size) {
        return make_error(ErrorCode::kInvalid, fmt::format("{} has {} bytes: there is none at {}",
                                                           key.path(), *size, options.offset));
    }
    std::uint64_t length = *size - options.offset;
    if (options.length > 0) length = std::min(length, options.length);
    const std::uint64_t limit =
        options.max_bytes == 0 ? kMaxObjectBytes : std::min(options.max_bytes, kMaxObjectBytes);
    if (length > limit) {
        return make_error(
            ErrorCode::kLimit,
            fmt::format("{} has {} bytes, more than the {} allowed", key.path(), length, limit));
    }
    const auto total = static_cast<std::size_t>(length);
    ByteBudget::Lease lease;
    if (options.budget != nullptr) {
        lease = options.budget->try_acquire(total);
        if (!lease) return make_error(ErrorCode::kLimit, "no memory left for " + key.path());
    }
    const auto buffer = std::make_shared<Buffer>(total, std::move(lease));
    for (std::size_t done = 0; done < total;) {
        const std::size_t piece = std::min(kPieceBytes, total - done);
        const auto count =
            (*file)->read_at(options.offset + done, buffer->span().subspan(done, piece));
        if (!count) return count.error();
        if (*count != piece) {
            return make_error(ErrorCode::kCorrupt,
                              path_of(key).string() + " became shorter while it was read");
        }
        done += piece;
        if (!on_piece(buffer, done, *size)) return make_error(ErrorCode::kCancelled, "");
    }
    return SharedBuffer(buffer);
}

Status ObjectFiles::ensure_folder(const ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    if (durable_folders_.test(index_of(key))) return {};
    // Not made anew below a disk that was unmounted.
    if (auto parent = fs_.space(folder_of(key.kind)); !parent) {
        return missing(key.kind, parent.error());
    }
    if (auto status = make_durable_folder(folder_of(key)); !status) return status;
    durable_folders_.set(index_of(key));
    return {};
}

Status ObjectFiles::sync_folder(const ObjectKey& key) {
    const auto status = fs_.sync_directory(folder_of(key));
    if (status) return {};
    const std::lock_guard lock(mutex_);
    suspect_folders_.set(index_of(key));
    return write_error(status.error());
}

/// True where an object of this size is there and its name is durable: another process may have
/// renamed it a moment ago, or died between its rename and its fsync.
Result<bool> ObjectFiles::already_there(const ObjectKey& key, std::size_t size_bytes) {
    // Metadata of one name and size may differ outside of its info dictionary; the last one stands.
    if (key.kind == ObjectKind::kTorrent) return false;
    {
        const std::lock_guard lock(mutex_);
        if (suspect_folders_.test(index_of(key))) return false;
    }
    const auto info = fs_.info(path_of(key));
    if (!info || !info->is_regular || info->size_bytes != size_bytes) return false;
    if (auto status = sync_folder(key); !status) return status.error();
    return true;
}

Status ObjectFiles::write_temporary(const std::filesystem::path& path, ByteSpan body) {
    auto file = fs_.create(path);
    if (!file) return write_error(file.error());
    if (auto status = (*file)->write_at(0, body); !status) return write_error(status.error());
    if (auto status = (*file)->sync_data(); !status) return write_error(status.error());
    return {};
}

Result<PutOutcome> ObjectFiles::put(const ObjectKey& key, ByteSpan body, const std::string& nonce) {
    if (body.size() > kMaxObjectBytes) {
        return make_error(ErrorCode::kLimit, key.path() + " is larger than an object may be");
    }
    if (auto status = prepare(); !status) return status.error();
    if (auto status = ensure_folder(key); !status) return status.error();
    const auto there = already_there(key, body.size());
    if (!there) return there.error();
    if (*there) return PutOutcome::kAlreadyThere;

    const auto beside = temporary(nonce);
    auto status = write_temporary(beside, body);
    if (status) {
        status = fs_.rename(beside, path_of(key));
        if (!status) status = write_error(status.error());
    }
    if (!status) {
        (void)fs_.remove(beside);
        return status.error();
    }
    if (status = sync_folder(key); !status) return status.error();
    return PutOutcome::kStored;
}

Result<std::uint64_t> ObjectFiles::stat(const ObjectKey& key) {
    const auto info = fs_.info(path_of(key));
    if (!info) return missing(key.kind, info.error());
    if (!info->is_regular) return make_error(ErrorCode::kNotFound, key.path() + " is no file");
    return info->size_bytes;
}

Status ObjectFiles::names_after(ObjectKind kind, std::size_t folder,
                                const std::array<std::uint8_t, 32>& after,
                                std::vector<std::array<std::uint8_t, 32>>& names) {
    auto status = fs_.list(folder_of(kind) / folder_name(folder), [&](const std::string& name) {
        const auto id = ChunkId::from_hex(name);
        if (id && id->bytes()[0] == folder && id->bytes() > after) names.push_back(id->bytes());
        return true;
    });
    if (!status && status.error().code == ErrorCode::kNotFound) return {};
    return status;
}

Result<ListPage> ObjectFiles::list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                   std::size_t limit) {
    ListPage page;
    std::vector<std::array<std::uint8_t, 32>> names;
    for (std::size_t folder = after[0]; folder < kFanOut && !page.more; ++folder) {
        names.clear();
        if (auto status = names_after(kind, folder, after, names); !status) return status.error();
        std::sort(names.begin(), names.end());
        for (const auto& hash : names) {
            page.more = page.entries.size() == limit;
            if (page.more) break;
            ObjectKey key{ChunkId(hash)};
            key.kind = kind;
            // Removed meanwhile, or no file: not an entry.
            const auto info = fs_.info(path_of(key));
            if (!info || !info->is_regular) continue;
            page.entries.push_back({hash, info->size_bytes, info->modified_ns / 1'000'000'000});
        }
    }
    if (page.entries.empty()) {
        if (auto parent = fs_.space(folder_of(kind)); !parent) {
            return missing(kind, parent.error());
        }
    }
    return page;
}

Status ObjectFiles::remove(const ObjectKey& key) {
    if (auto status = fs_.remove(path_of(key)); !status) {
        const Error error = missing(key.kind, status.error());
        if (error.code == ErrorCode::kNotFound) return {};
        return error;
    }
    return sync_folder(key);
}

Status ObjectFiles::probe(const std::string& nonce) {
    if (auto status = prepare(); !status) return status;
    static constexpr std::uint8_t kByte[] = {0};
    auto status = write_temporary(temporary(nonce), kByte);
    (void)fs_.remove(temporary(nonce));
    return status;
}

}  // namespace kollator::store
