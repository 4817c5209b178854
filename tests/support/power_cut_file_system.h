#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"

namespace kollator::testing_support {

/// What a disk holds when the power comes back.
struct DiskImage {
    std::set<std::string> folders;
    std::map<std::string, std::shared_ptr<const Bytes>> files;

    bool operator==(const DiskImage& other) const;
};

/// A file system in memory that knows what has been synced, and what a power cut would leave of the
/// rest. The model is POSIX's, no kinder:
///
///   data      what a successful fdatasync of the file covered is there; of later writes any subset
///             is, each whole, torn, or as zeros of the same length
///   names     what a successful fsync of their folder covered are there; of later changes to the
///             folder any subset is; a rename within a folder is one change, one between folders is
///             two, which are kept or lost apart
///   folders   a folder is a name in its parent; with it goes all that is in it
///
/// After each change, one image of what a power cut at that moment could leave is kept, for the
/// test to recover from: image(0) is the beginning. Thread-safe.
class PowerCutFileSystem final : public FileSystem {
 public:
    /// A disk that says of these that they are synced, and does nothing.
    enum class Lie { kNone, kData, kNames };

    PowerCutFileSystem(const DiskImage& image, std::uint64_t seed);
    ~PowerCutFileSystem() override;

    /// Lies about everything below `folder`, from now on.
    void set_lie(Lie lie, const std::filesystem::path& folder);

    /// How many changes there were so far.
    std::size_t changes() const;
    DiskImage image(std::size_t changes) const;

    Result<std::unique_ptr<File>> open_read(const std::filesystem::path& path) override;
    Result<std::unique_ptr<File>> open_write(const std::filesystem::path& path,
                                             std::uint32_t mode) override;
    Result<std::unique_ptr<File>> create(const std::filesystem::path& path,
                                         std::uint32_t mode) override;
    Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
    Status remove(const std::filesystem::path& path) override;
    Status make_directories(const std::filesystem::path& path) override;
    Status sync_directory(const std::filesystem::path& path) override;
    Result<FileInfo> info(const std::filesystem::path& path) override;
    Status list(const std::filesystem::path& path,
                const std::function<bool(const std::string& name)>& each) override;
    Result<SpaceInfo> space(const std::filesystem::path& path) override;

 private:
    class MemoryFile;
    struct Inode;
    struct Folder;
    struct Entry {
        std::shared_ptr<Inode> file;
        std::shared_ptr<Folder> folder;
    };
    /// A name that was set, or removed (no entry). Changes of one group are kept or lost together.
    struct Change {
        std::string name;
        std::optional<Entry> entry;
        std::uint64_t group = 0;
    };
    enum class Luck { kNothing, kPrefix, kSubset, kAll };

    // REQUIRES for all below: mutex_ is held.
    std::shared_ptr<Folder> folder_at(const std::filesystem::path& path) const;
    std::optional<Entry> entry_at(const std::filesystem::path& path) const;
    void set_name(Folder& folder, const std::string& name, std::optional<Entry> entry,
                  std::uint64_t group);
    Result<std::unique_ptr<File>> create_at(const std::filesystem::path& path);
    bool lies(Lie lie, const std::filesystem::path& path) const;
    void changed();
    DiskImage cut();
    void cut_folder(const Folder& folder, const std::string& path, Luck luck, DiskImage& image);
    std::shared_ptr<const Bytes> cut_file(const Inode& inode, Luck luck);
    std::set<std::uint64_t> kept_groups(const Folder& folder, Luck luck);
    std::size_t below(std::size_t bound) { return random_.u32() % bound; }

    mutable std::mutex mutex_;
    SeededRandom random_;
    std::shared_ptr<Folder> root_;
    std::vector<DiskImage> images_;
    std::uint64_t next_group_ = 1;
    std::int64_t time_ns_ = 1'763'800'000'000'000'000;
    Lie lie_ = Lie::kNone;
    std::string lie_below_;
};

}  // namespace kollator::testing_support
