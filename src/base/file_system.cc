#include "base/file_system.h"

#include <vector>

namespace kollator {
namespace {

Status write_and_sync(FileSystem& fs, const std::filesystem::path& path, ByteSpan bytes,
                      std::uint32_t mode) {
    auto file = fs.create(path, mode);
    if (!file) return file.error();
    if (auto status = (*file)->write_at(0, bytes); !status) return status;
    return (*file)->sync_data();
}

}  // namespace

Status make_directories_durably(FileSystem& fs, const std::filesystem::path& path) {
    const auto sync_name_of = [&fs](const std::filesystem::path& folder) {
        const auto parent = folder.parent_path();
        return fs.sync_directory(parent.empty() ? "." : parent);
    };
    std::vector<std::filesystem::path> missing;
    for (auto at = path; at.has_relative_path() && !fs.info(at); at = at.parent_path()) {
        missing.push_back(at);
    }
    if (auto status = fs.make_directories(path); !status) return status;
    if (missing.empty()) (void)sync_name_of(path);
    for (const auto& folder : missing) {
        if (auto status = sync_name_of(folder); !status) return status;
    }
    return {};
}

Result<Bytes> read_file(FileSystem& fs, const std::filesystem::path& path, std::size_t max_bytes) {
    auto file = fs.open_read(path);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (*size > max_bytes) {
        return make_error(ErrorCode::kLimit, path.string() + " has " + std::to_string(*size) +
                                                 " bytes, more than the " +
                                                 std::to_string(max_bytes) + " it may have");
    }
    Bytes bytes(static_cast<std::size_t>(*size));
    const auto count = (*file)->read_at(0, bytes);
    if (!count) return count.error();
    bytes.resize(*count);
    return bytes;
}

Status write_file_durably(FileSystem& fs, const std::filesystem::path& path, ByteSpan bytes,
                          std::uint32_t mode) {
    const std::filesystem::path beside = path.string() + ".new";
    (void)fs.remove(beside);  // what a crash left behind
    if (auto status = write_and_sync(fs, beside, bytes, mode); !status) {
        (void)fs.remove(beside);
        return status;
    }
    if (auto status = fs.rename(beside, path); !status) return status;
    const auto parent = path.parent_path();
    return fs.sync_directory(parent.empty() ? "." : parent);
}

}  // namespace kollator
