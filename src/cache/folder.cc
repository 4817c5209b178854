#include "cache/folder.h"

#include <algorithm>

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

void note_foreign(const std::filesystem::path& path, FolderScan& scan) {
    // The first few by name; a folder full of them must not flood the log.
    constexpr std::size_t kNamed = 5;
    if (scan.foreign_files++ < kNamed) {
        kLog.warn("event=foreign-file path=\"{}\" action=ignored", path.string());
    }
}

void scan_file(FileSystem& fs, const std::filesystem::path& path, const std::string& prefix,
               const std::string& name, FolderScan& scan) {
    const auto id = ChunkId::from_hex(name);
    const auto info = fs.info(path);
    if (!id || !name.starts_with(prefix) || !info || !info->is_regular) {
        note_foreign(path, scan);
        return;
    }
    const auto chunk_bytes = chunk_bytes_of(info->size_bytes);
    if (!chunk_bytes) {
        ++scan.dropped_files;
        if (auto status = fs.remove(path); !status) {
            kLog.warn("event=remove-failed error=\"{}\"", status.error().detail);
        }
        return;
    }
    scan.chunks.push_back({*id, *chunk_bytes, std::max(info->modified_ns, info->accessed_ns)});
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
    FolderScan scan;
    const auto folders = names_in(fs, folder);
    if (!folders) return folders.error();
    for (const std::string& prefix : *folders) {
        if (prefix == kTemporaryFolder || prefix == kSnapshotName || prefix == kCleanMarkName) {
            continue;
        }
        if (!is_chunk_folder(prefix)) {
            note_foreign(folder / prefix, scan);
            continue;
        }
        const auto names = names_in(fs, folder / prefix);
        if (!names) {
            note_foreign(folder / prefix, scan);
            continue;
        }
        for (const std::string& name : *names) {
            scan_file(fs, folder / prefix / name, prefix, name, scan);
        }
    }
    return scan;
}

}  // namespace kollator::cache
