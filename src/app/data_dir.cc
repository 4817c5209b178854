#include "app/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "config/parse.h"

namespace kollator::app {
namespace {

constexpr std::size_t kMaxIdFileBytes = 256;
constexpr std::size_t kIdRandomBytes = 6;

}  // namespace

Result<DataDir> DataDir::open(FileSystem& fs, const std::filesystem::path& path) {
    if (auto status = make_directories_durably(fs, path); !status) return status.error();
    const auto lock_path = path / "lock";
    const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0) {
        return make_error(ErrorCode::kUnavailable, "open " + lock_path.string() + ": " +
                                                       std::system_category().message(errno));
    }
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        ::close(lock);
        return make_error(ErrorCode::kLimit, "the data folder " + path.string() +
                                                 " is in use by another kollator: end that one, or "
                                                 "set DATA_DIR to another folder");
    }
    return DataDir(fs, path, lock);
}

DataDir::DataDir(FileSystem& fs, std::filesystem::path path, int lock)
    : fs_(&fs), path_(std::move(path)), lock_(lock) {}

DataDir::DataDir(DataDir&& other) noexcept
    : fs_(other.fs_), path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataDir& DataDir::operator=(DataDir&& other) noexcept {
    std::swap(fs_, other.fs_);
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
}

DataDir::~DataDir() {
    if (lock_ >= 0) ::close(lock_);
}

Result<std::string> DataDir::worker_id(Random& random) {
    const auto file = path_ / "worker.id";
    const auto kept = read_file(*fs_, file, kMaxIdFileBytes);
    if (kept) {
        std::string id(as_text(*kept));
        while (!id.empty() && (id.back() == '\n' || id.back() == ' ')) id.pop_back();
        if (config::is_worker_id(id)) return id;
        return make_error(ErrorCode::kInvalid,
                          file.string() + " holds no worker id: remove it, or set WORKER_ID");
    }
    if (kept.error().code != ErrorCode::kNotFound) return kept.error();
    std::uint8_t raw[kIdRandomBytes];
    random.fill(raw);
    const std::string id = "worker-" + to_hex(raw);
    if (auto status = write_file_durably(*fs_, file, as_bytes(id + "\n")); !status) {
        return status.error();
    }
    return id;
}

}  // namespace kollator::app
