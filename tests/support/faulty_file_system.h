#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/file_system.h"

namespace kollator::testing_support {

enum class FileOperation {
    kOpen,
    kCreate,
    kRead,
    kWrite,
    kRename,
    kRemove,
    kMakeDirectories,
    kList,
    kSyncData,
    kSyncDirectory
};

/// A FileSystem that asks before each operation whether it shall fail, and else passes it on. The
/// hook runs on whichever thread calls: set it while no job runs, and keep its state atomic.
class FaultyFileSystem : public FileSystem {
 public:
    using Hook =
        std::function<std::optional<Error>(FileOperation, const std::filesystem::path& path)>;

    explicit FaultyFileSystem(FileSystem& below = posix_file_system()) : below_(below) {}
    void set_hook(Hook hook) { hook_ = std::move(hook); }

    Result<std::unique_ptr<File>> open_read(const std::filesystem::path& path) override {
        return wrap(FileOperation::kOpen, path, [&] { return below_.open_read(path); });
    }
    Result<std::unique_ptr<File>> open_write(const std::filesystem::path& path,
                                             std::uint32_t mode) override {
        return wrap(FileOperation::kOpen, path, [&] { return below_.open_write(path, mode); });
    }
    Result<std::unique_ptr<File>> create(const std::filesystem::path& path,
                                         std::uint32_t mode) override {
        return wrap(FileOperation::kCreate, path, [&] { return below_.create(path, mode); });
    }
    Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
        if (auto error = fault(FileOperation::kRename, to)) return *error;
        return below_.rename(from, to);
    }
    Status remove(const std::filesystem::path& path) override {
        if (auto error = fault(FileOperation::kRemove, path)) return *error;
        return below_.remove(path);
    }
    Status make_directories(const std::filesystem::path& path) override {
        if (auto error = fault(FileOperation::kMakeDirectories, path)) return *error;
        return below_.make_directories(path);
    }
    Status sync_directory(const std::filesystem::path& path) override {
        if (auto error = fault(FileOperation::kSyncDirectory, path)) return *error;
        return below_.sync_directory(path);
    }
    Result<FileInfo> info(const std::filesystem::path& path) override { return below_.info(path); }
    Status list(const std::filesystem::path& path,
                const std::function<bool(const std::string& name)>& each) override {
        if (auto error = fault(FileOperation::kList, path)) return *error;
        return below_.list(path, each);
    }
    Result<SpaceInfo> space(const std::filesystem::path& path) override {
        return below_.space(path);
    }

 private:
    class FaultyFile final : public File {
     public:
        FaultyFile(FaultyFileSystem& owner, std::filesystem::path path, std::unique_ptr<File> below)
            : owner_(owner), path_(std::move(path)), below_(std::move(below)) {}

        Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) override {
            if (auto error = owner_.fault(FileOperation::kRead, path_)) return *error;
            return below_->read_at(offset, out);
        }
        Result<std::optional<std::size_t>> read_at_nowait(std::uint64_t offset,
                                                          MutableByteSpan out) override {
            if (auto error = owner_.fault(FileOperation::kRead, path_)) return *error;
            return below_->read_at_nowait(offset, out);
        }
        /// A write that fails leaves its first half behind, as a disk that fills up does.
        Status write_at(std::uint64_t offset, ByteSpan bytes) override {
            if (auto error = owner_.fault(FileOperation::kWrite, path_)) {
                (void)below_->write_at(offset, bytes.first(bytes.size() / 2));
                return *error;
            }
            return below_->write_at(offset, bytes);
        }
        Status sync_data() override {
            if (auto error = owner_.fault(FileOperation::kSyncData, path_)) return *error;
            return below_->sync_data();
        }
        Result<std::uint64_t> size() const override { return below_->size(); }
        void will_need(std::uint64_t offset, std::uint64_t length) override {
            below_->will_need(offset, length);
        }
        void drop_cached() override { below_->drop_cached(); }

     private:
        FaultyFileSystem& owner_;
        const std::filesystem::path path_;
        const std::unique_ptr<File> below_;
    };

    std::optional<Error> fault(FileOperation operation, const std::filesystem::path& path) {
        return hook_ ? hook_(operation, path) : std::nullopt;
    }

    template <typename Open>
    Result<std::unique_ptr<File>> wrap(FileOperation operation, const std::filesystem::path& path,
                                       Open&& open) {
        if (auto error = fault(operation, path)) return *error;
        auto file = open();
        if (!file) return file.error();
        return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, path, std::move(*file)));
    }

    FileSystem& below_;
    Hook hook_;
};

}  // namespace kollator::testing_support
