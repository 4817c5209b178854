#include "cache/folder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "cache/chunk_file.h"

namespace kollator::cache {
namespace {

const log::Logger kLog("cache");

bool is_chunk_folder(const std::string& name) {
    const auto is_lower_hex = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    };
    return name.size() == 2 && is_lower_hex(name[0]) && is_lower_hex(name[1]);
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

/// Moves files out of the way, as long as there is room for them.
class Aside {
 public:
    Aside(FileSystem& fs, std::filesystem::path folder) : fs_(fs), folder_(std::move(folder)) {
        (void)fs_.list(folder_, [&](const std::string& name) {
            const auto info = fs_.info(folder_ / name);
            if (info) bytes_ += info->size_bytes;
            return ++files_ < kMaxAsideFiles;
        });
    }

    /// False where it stays where it is.
    bool take(const std::filesystem::path& path, std::uint64_t size_bytes) {
        if (files_ >= kMaxAsideFiles || size_bytes > kMaxAsideBytes - bytes_) return false;
        if (!fs_.make_directories(folder_)) return false;
        const auto to = free_name(path.filename().string());
        if (!to || !fs_.rename(path, *to)) return false;
        ++files_;
        bytes_ += size_bytes;
        return true;
    }

 private:
    /// Two files of one name may come from two folders.
    std::optional<std::filesystem::path> free_name(const std::string& name) const {
        constexpr std::size_t kMaxNameBytes = 200;
        for (std::size_t number = 0; number <= kMaxAsideFiles; ++number) {
            const std::string prefix = number == 0 ? "" : std::to_string(number) + ".";
            auto path = folder_ / (prefix + name.substr(0, kMaxNameBytes));
            const auto info = fs_.info(path);
            if (!info && info.error().code == ErrorCode::kNotFound) return path;
        }
        return std::nullopt;
    }

    FileSystem& fs_;
    const std::filesystem::path folder_;
    std::size_t files_ = 0;
    std::uint64_t bytes_ = 0;
};

class Scanner {
 public:
    Scanner(FileSystem& fs, const std::filesystem::path& folder)
        : fs_(fs), aside_(fs, folder / kAsideFolder) {}

    void foreign(const std::filesystem::path& path) {
        const auto info = fs_.info(path);
        const bool moved = info && info->is_regular && aside_.take(path, info->size_bytes);
        scan.put_aside += moved ? 1 : 0;
        ++scan.foreign_files;
        tell("foreign-file", path, moved ? "put-aside" : "ignored");
    }

    void file(const std::filesystem::path& path, const std::string& prefix,
              const std::string& name) {
        const auto id = ChunkId::from_hex(name);
        const auto info = fs_.info(path);
        if (!id || !name.starts_with(prefix) || !info || !info->is_regular) return foreign(path);
        const auto chunk_bytes = chunk_bytes_of(info->size_bytes);
        if (!chunk_bytes) return broken(path, info->size_bytes);
        scan.chunks.push_back({*id, *chunk_bytes, std::max(info->modified_ns, info->accessed_ns)});
    }

    FolderScan scan;

 private:
    void broken(const std::filesystem::path& path, std::uint64_t size_bytes) {
        ++scan.broken_files;
        const bool moved = aside_.take(path, size_bytes);
        scan.put_aside += moved ? 1 : 0;
        tell("broken-file", path, moved ? "put-aside" : "deleted");
        if (moved) return;
        if (auto status = fs_.remove(path); !status) {
            kLog.warn("event=remove-failed error=\"{}\"", status.error().detail);
        }
    }

    /// The first few by name; a folder full of them must not flood the log.
    void tell(const char* event, const std::filesystem::path& path, const char* action) {
        constexpr std::size_t kNamed = 5;
        if (told_++ >= kNamed) return;
        kLog.warn("event={} path=\"{}\" action={}", event, path.string(), action);
    }

    FileSystem& fs_;
    Aside aside_;
    std::size_t told_ = 0;
};

bool is_ours(const std::string& name) {
    return name == kTemporaryFolder || name == kSnapshotName || name == kCleanMarkName ||
           name == kScrubStateName || name == kAsideFolder;
}

}  // namespace

Status prepare_folder(FileSystem& fs, const std::filesystem::path& folder) {
    const auto temporary = folder / kTemporaryFolder;
    if (auto status = fs.make_directories(temporary); !status) return status;
    const auto left_over = names_in(fs, temporary);
    if (!left_over) return left_over.error();
    for (const std::string& name : *left_over) (void)fs.remove(temporary / name);
    const auto probe = temporary / "probe";
    auto file = fs.create(probe);
    if (!file) return file.error();
    const Status written = (*file)->write_at(0, as_bytes("x"));
    file->reset();
    const Status removed = fs.remove(probe);
    // A full disk is no reason to do without what is cached: the first insert makes room.
    if (!written && written.error().code != ErrorCode::kLimit) return written;
    return removed;
}

bool take_clean_mark(FileSystem& fs, const std::filesystem::path& folder) {
    // A mark that might come back after a power cut proves nothing.
    return fs.remove(folder / kCleanMarkName) && fs.sync_directory(folder);
}

Result<FolderScan> scan_folder(FileSystem& fs, const std::filesystem::path& folder) {
    Scanner scanner(fs, folder);
    const auto folders = names_in(fs, folder);
    if (!folders) return folders.error();
    for (const std::string& prefix : *folders) {
        if (is_ours(prefix)) continue;
        if (!is_chunk_folder(prefix)) {
            scanner.foreign(folder / prefix);
            continue;
        }
        const auto names = names_in(fs, folder / prefix);
        if (!names) {
            scanner.foreign(folder / prefix);
            continue;
        }
        for (const std::string& name : *names) {
            scanner.file(folder / prefix / name, prefix, name);
        }
    }
    return std::move(scanner.scan);
}

}  // namespace kollator::cache
