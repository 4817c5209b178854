#include "store/journal/journal_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/log.h"
#include "crypto/hash.h"

namespace kollator::store {
namespace {

const log::Logger kLog("store");

constexpr const char* kTemporaryFolder = "tmp";
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kNumberDigits = 16;
/// A foreign file is named in the log; a folder full of them must not flood it.
constexpr std::size_t kForeignNamed = 5;

/// In the store's terms: a folder that is missing while we write is a disk that went away.
Error write_error(const Error& error) {
    if (error.code == ErrorCode::kLimit) return error;
    return make_error(ErrorCode::kUnavailable, error.detail);
}

Result<std::vector<std::string>> names_in(FileSystem& fs, const std::filesystem::path& folder) {
    std::vector<std::string> names;
    const auto status = fs.list(folder, [&](const std::string& name) {
        names.push_back(name);
        return true;
    });
    if (!status) return status.error();
    return names;
}

}  // namespace

std::string JournalName::text() const {
    std::string_view kind = prefix_of(key.kind);
    kind.remove_suffix(1);  // the slash
    return fmt::format("{:016x}-{}-{}", number, kind, key.hex());
}

std::optional<JournalName> JournalName::parse(std::string_view text) {
    JournalName name;
    if (text.size() < kNumberDigits) return std::nullopt;
    const char* const end = text.data() + kNumberDigits;
    const auto [stop, error] = std::from_chars(text.data(), end, name.number, 16);
    const auto hash = ChunkId::from_hex(text.substr(text.rfind('-') + 1));
    if (error != std::errc() || stop != end || !hash) return std::nullopt;
    name.key.hash = hash->bytes();
    for (const ObjectKind kind : {ObjectKind::kChunk, ObjectKind::kTorrent}) {
        name.key.kind = kind;
        // Only the spelling that text() gives: a file has one name.
        if (name.text() == text) return name;
    }
    return std::nullopt;
}

// --- start -------------------------------------------------------------------------------------

Result<JournalScan> JournalFiles::open() {
    const auto temporary = root_ / kTemporaryFolder;
    for (const auto& folder : {root_, temporary}) {
        if (auto status = make_directories_durably(fs_, folder); !status) {
            return write_error(status.error());
        }
    }
    const auto unfinished = names_in(fs_, temporary);
    if (!unfinished) return unfinished.error();
    for (const std::string& name : *unfinished) (void)fs_.remove(temporary / name);

    const auto names = names_in(fs_, root_);
    if (!names) return names.error();
    JournalScan scan;
    for (const std::string& text : *names) {
        if (text == kTemporaryFolder) continue;
        const auto name = JournalName::parse(text);
        if (!name) {
            if (scan.foreign_files++ < kForeignNamed) {
                kLog.warn("event=foreign-file path=\"{}\" action=ignored", (root_ / text).string());
            }
            continue;
        }
        auto file = examine(*name);
        if (file) {
            scan.files.push_back(*file);
        } else if (file.error().code == ErrorCode::kCorrupt) {
            ++scan.damaged_files;
            kLog.error("event=journal-damaged file={} action=removed", text);
            (void)remove(*name);
        } else {
            return file.error();
        }
    }
    // A writer that was killed may have renamed a file and not come to this.
    if (auto status = fs_.sync_directory(root_); !status) return write_error(status.error());
    keep_newest(scan.files);
    return scan;
}

/// kCorrupt where no object's file has such a size.
Result<JournalFile> JournalFiles::examine(const JournalName& name) {
    const auto path = root_ / name.text();
    const auto info = fs_.info(path);
    if (!info) return info.error();
    if (!info->is_regular || info->size_bytes <= kDigestBytes ||
        info->size_bytes > kMaxObjectBytes + kDigestBytes) {
        return make_error(ErrorCode::kCorrupt, path.string());
    }
    JournalFile file{name, info->size_bytes - kDigestBytes, name.key.hash, info->modified_ns};
    // A chunk's digest is its name; that of a torrent's metadata tells its versions apart.
    if (name.key.kind == ObjectKind::kChunk) return file;
    auto opened = fs_.open_read(path);
    if (!opened) return opened.error();
    const auto count = (*opened)->read_at(file.size_bytes, file.digest);
    if (!count) return count.error();
    if (*count != kDigestBytes) return make_error(ErrorCode::kCorrupt, path.string());
    return file;
}

void JournalFiles::keep_newest(std::vector<JournalFile>& files) {
    std::sort(files.begin(), files.end(), [](const JournalFile& a, const JournalFile& b) {
        return a.name.number < b.name.number;
    });
    std::map<ObjectKey, std::uint64_t> newest;
    for (const JournalFile& file : files) newest[file.name.key] = file.name.number;
    std::erase_if(files, [&](const JournalFile& file) {
        const bool replaced = newest.at(file.name.key) != file.name.number;
        if (replaced) (void)remove(file.name);
        return replaced;
    });
}

// --- writing -----------------------------------------------------------------------------------

Status JournalFiles::write_temporary(const std::filesystem::path& path, ByteSpan body,
                                     ByteSpan digest) {
    auto file = fs_.create(path);
    if (!file) return write_error(file.error());
    if (auto status = (*file)->write_at(0, body); !status) return write_error(status.error());
    if (auto status = (*file)->write_at(body.size(), digest); !status) {
        return write_error(status.error());
    }
    if (auto status = (*file)->sync_data(); !status) return write_error(status.error());
    return {};
}

Status JournalFiles::write(const JournalName& name, ByteSpan body,
                           const std::array<std::uint8_t, 32>& digest,
                           const std::optional<JournalName>& replaced) {
    const auto temporary = root_ / kTemporaryFolder / name.text();
    const auto path = root_ / name.text();
    Status status = write_temporary(temporary, body, digest);
    if (status) {
        status = fs_.rename(temporary, path);
        if (!status) status = write_error(status.error());
    }
    if (!status) {
        (void)fs_.remove(temporary);
        return status;
    }
    status = sync_names(++tickets_);
    if (!status) {
        (void)remove(name);
        return status;
    }
    if (!replaced) return {};
    // Or else a power cut could bring the older one back after the newer one has been sent and
    // removed, and it would be sent over it. Where it fails, the newer one is durable all the same.
    status = remove(*replaced);
    if (status) status = sync_removals();
    if (!status) kLog.warn("event=journal-remove-failed detail=\"{}\"", status.error().detail);
    return {};
}

/// Makes the names of all files renamed so far durable, unless an fsync that began after the rename
/// of this ticket has done it, or failed to.
Status JournalFiles::sync_names(std::uint64_t ticket) {
    const std::lock_guard lock(sync_mutex_);
    if (ticket <= failed_tickets_) {
        return make_error(ErrorCode::kUnavailable, "fsync of " + root_.string() + " failed");
    }
    if (ticket <= durable_tickets_) return {};
    const std::uint64_t covered = tickets_;
    has_removed_ = false;
    if (auto status = fs_.sync_directory(root_); !status) {
        has_removed_ = true;
        failed_tickets_ = covered;
        return write_error(status.error());
    }
    durable_tickets_ = covered;
    return {};
}

// --- reading -----------------------------------------------------------------------------------

Result<JournaledBody> JournalFiles::load(const JournalName& name) {
    auto file = fs_.open_read(root_ / name.text());
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    const Error corrupt = make_error(ErrorCode::kCorrupt, name.text() + " is damaged");
    if (*size <= kDigestBytes || *size > kMaxObjectBytes + kDigestBytes) return corrupt;
    const auto buffer = std::make_shared<Buffer>(static_cast<std::size_t>(*size) - kDigestBytes);
    JournaledBody loaded;
    const auto got = (*file)->read_at(0, buffer->span());
    if (!got) return got.error();
    const auto got_digest = (*file)->read_at(buffer->size(), loaded.digest);
    if (!got_digest) return got_digest.error();
    if (*got != buffer->size() || *got_digest != kDigestBytes) return corrupt;
    loaded.body = buffer;
    if (crypto::sha256(loaded.body->span()) != loaded.digest) return corrupt;
    if (name.key.kind == ObjectKind::kChunk && loaded.digest != name.key.hash) return corrupt;
    return loaded;
}

Result<SharedBuffer> JournalFiles::read(const JournalName& name, const GetOptions& options) {
    auto file = fs_.open_read(root_ / name.text());
    if (!file) return file.error();
    const auto file_size = (*file)->size();
    if (!file_size) return file_size.error();
    const std::uint64_t size = *file_size > kDigestBytes ? *file_size - kDigestBytes : 0;
    if (options.offset > 0 && options.offset >= size) {
        return make_error(ErrorCode::kInvalid, fmt::format("{} has {} bytes: there is none at {}",
                                                           name.key.path(), size, options.offset));
    }
    std::uint64_t length = size - options.offset;
    if (options.length > 0) length = std::min(length, options.length);
    const std::uint64_t limit =
        options.max_bytes == 0 ? kMaxObjectBytes : std::min(options.max_bytes, kMaxObjectBytes);
    if (length > limit) {
        return make_error(ErrorCode::kLimit,
                          fmt::format("{} has {} bytes, more than the {} allowed", name.key.path(),
                                      length, limit));
    }
    ByteBudget::Lease lease;
    const auto total = static_cast<std::size_t>(length);
    if (options.budget != nullptr) {
        lease = options.budget->try_acquire(total);
        if (!lease) return make_error(ErrorCode::kLimit, "no memory left for " + name.key.path());
    }
    const auto buffer = std::make_shared<Buffer>(total, std::move(lease));
    const auto count = (*file)->read_at(options.offset, buffer->span());
    if (!count) return count.error();
    if (*count != total) return make_error(ErrorCode::kCorrupt, name.text() + " is too short");
    return SharedBuffer(buffer);
}

// --- removing ----------------------------------------------------------------------------------

Status JournalFiles::remove(const JournalName& name) {
    const Status status = fs_.remove(root_ / name.text());
    if (!status && status.error().code != ErrorCode::kNotFound) return write_error(status.error());
    has_removed_ = true;
    return {};
}

Status JournalFiles::sync_removals() {
    if (!has_removed_) return {};
    return sync_names(++tickets_);
}

}  // namespace kollator::store
