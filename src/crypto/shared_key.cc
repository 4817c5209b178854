#include "crypto/shared_key.h"

#include <algorithm>

namespace kollator::crypto {

Result<SharedKey> load_shared_key(FileSystem& fs, const std::filesystem::path& path) {
    const auto info = fs.info(path);
    if (!info) return info.error();
    if ((info->mode & 077U) != 0) {
        return make_error(
            ErrorCode::kInvalid,
            "the key " + path.string() + " can be read by others: chmod 600 " + path.string());
    }
    SharedKey key;
    const auto bytes = read_file(fs, path, key.size());
    if (!bytes && bytes.error().code != ErrorCode::kLimit) return bytes.error();
    if (!bytes || bytes->size() != key.size()) {
        return make_error(ErrorCode::kInvalid, "the key " + path.string() +
                                                   " is not 32 bytes long: make one with "
                                                   "`kollator keygen`");
    }
    std::copy(bytes->begin(), bytes->end(), key.begin());
    return key;
}

Status write_new_shared_key(FileSystem& fs, Random& random, const std::filesystem::path& path) {
    SharedKey key;
    random.fill(key);
    return write_file_durably(fs, path, key, 0600);
}

}  // namespace kollator::crypto
