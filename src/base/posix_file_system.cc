#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/file_system.h"

namespace kollator {
namespace {

ErrorCode code_of(int error_number) {
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
            return ErrorCode::kNotFound;
        case ENOSPC:
        case EDQUOT:
        case EMFILE:
        case ENFILE:
            return ErrorCode::kLimit;
        case EEXIST:
            return ErrorCode::kInvalid;
        default:
            return ErrorCode::kUnavailable;
    }
}

Error errno_error(const char* what, const std::filesystem::path& path) {
    const int error_number = errno;
    return make_error(code_of(error_number), std::string(what) + " " + path.string() + ": " +
                                                 std::system_category().message(error_number));
}

class PosixFile final : public File {
 public:
    PosixFile(int descriptor, std::filesystem::path path)
        : descriptor_(descriptor), path_(std::move(path)) {}
    ~PosixFile() override { ::close(descriptor_); }

    Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) override {
        std::size_t done = 0;
        while (done < out.size()) {
            const ssize_t count = ::pread(descriptor_, out.data() + done, out.size() - done,
                                          static_cast<off_t>(offset + done));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return errno_error("read", path_);
            if (count == 0) break;
            done += static_cast<std::size_t>(count);
        }
        return done;
    }

    Result<std::optional<std::size_t>> read_at_nowait(std::uint64_t offset,
                                                      MutableByteSpan out) override {
        iovec vector{out.data(), out.size()};
        const ssize_t count =
            ::preadv2(descriptor_, &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
        if (count >= 0) return std::optional<std::size_t>(static_cast<std::size_t>(count));
        // EOPNOTSUPP: a file system without RWF_NOWAIT, where every read may wait.
        if (errno == EAGAIN || errno == EINTR || errno == EOPNOTSUPP) {
            return std::optional<std::size_t>();
        }
        return errno_error("read", path_);
    }

    Status write_at(std::uint64_t offset, ByteSpan bytes) override {
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t count = ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                                           static_cast<off_t>(offset + done));
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return errno_error("write", path_);
            done += static_cast<std::size_t>(count);
        }
        return {};
    }

    Status sync_data() override {
        if (::fdatasync(descriptor_) != 0) return errno_error("fdatasync", path_);
        return {};
    }

    Result<std::uint64_t> size() const override {
        struct stat info {};
        if (::fstat(descriptor_, &info) != 0) return errno_error("stat", path_);
        return static_cast<std::uint64_t>(info.st_size);
    }

    void will_need(std::uint64_t offset, std::uint64_t length) override {
        (void)::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(length),
                              POSIX_FADV_WILLNEED);
    }

    void drop_cached() override { (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

 private:
    const int descriptor_;
    const std::filesystem::path path_;
};

class PosixFileSystem final : public FileSystem {
 public:
    Result<std::unique_ptr<File>> open_read(const std::filesystem::path& path) override {
        return open(path, O_RDONLY, 0);
    }
    Result<std::unique_ptr<File>> open_write(const std::filesystem::path& path,
                                             std::uint32_t mode) override {
        return open(path, O_RDWR | O_CREAT, mode);
    }
    Result<std::unique_ptr<File>> create(const std::filesystem::path& path,
                                         std::uint32_t mode) override {
        return open(path, O_RDWR | O_CREAT | O_EXCL, mode);
    }

    Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename to", to);
        return {};
    }

    Status remove(const std::filesystem::path& path) override {
        if (::unlink(path.c_str()) != 0) return errno_error("remove", path);
        return {};
    }

    Status make_directories(const std::filesystem::path& path) override {
        std::error_code error;
        std::filesystem::create_directories(path, error);
        if (error) {
            return make_error(code_of(error.value()),
                              "make directory " + path.string() + ": " + error.message());
        }
        return {};
    }

    Status sync_directory(const std::filesystem::path& path) override {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor < 0) return errno_error("open directory", path);
        Status status;
        if (::fsync(descriptor) != 0) status = errno_error("fsync directory", path);
        ::close(descriptor);
        return status;
    }

    Result<FileInfo> info(const std::filesystem::path& path) override {
        struct stat raw {};
        if (::lstat(path.c_str(), &raw) != 0) return errno_error("stat", path);
        FileInfo info;
        info.size_bytes = static_cast<std::uint64_t>(raw.st_size);
        info.modified_ns = raw.st_mtim.tv_sec * 1'000'000'000LL + raw.st_mtim.tv_nsec;
        info.accessed_ns = raw.st_atim.tv_sec * 1'000'000'000LL + raw.st_atim.tv_nsec;
        info.is_directory = S_ISDIR(raw.st_mode);
        info.is_regular = S_ISREG(raw.st_mode);
        info.mode = raw.st_mode & 07777U;
        info.inode = raw.st_ino;
        return info;
    }

    Status list(const std::filesystem::path& path,
                const std::function<bool(const std::string& name)>& each) override {
        DIR* directory = ::opendir(path.c_str());
        if (directory == nullptr) return errno_error("list", path);
        errno = 0;
        while (const dirent* entry = ::readdir(directory)) {
            const std::string name = entry->d_name;
            if (name != "." && name != ".." && !each(name)) break;
            errno = 0;
        }
        Status status;
        if (errno != 0) status = errno_error("list", path);
        ::closedir(directory);
        return status;
    }

    Result<SpaceInfo> space(const std::filesystem::path& path) override {
        struct statvfs raw {};
        if (::statvfs(path.c_str(), &raw) != 0) return errno_error("statvfs", path);
        return SpaceInfo{raw.f_blocks * raw.f_frsize, raw.f_bavail * raw.f_frsize};
    }

 private:
    static Result<std::unique_ptr<File>> open(const std::filesystem::path& path, int flags,
                                              std::uint32_t mode) {
        const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (descriptor < 0) return errno_error("open", path);
        return std::unique_ptr<File>(std::make_unique<PosixFile>(descriptor, path));
    }
};

}  // namespace

FileSystem& posix_file_system() {
    static PosixFileSystem instance;
    return instance;
}

}  // namespace kollator
