#include "tests/support/power_cut_file_system.h"

#include <algorithm>

namespace kollator::testing_support {
namespace {

Error missing(const std::filesystem::path& path) {
    return make_error(ErrorCode::kNotFound, path.string() + ": no such file or directory");
}

void write_into(Bytes& content, std::uint64_t offset, ByteSpan bytes) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

bool DiskImage::operator==(const DiskImage& other) const {
    return folders == other.folders &&
           std::equal(files.begin(), files.end(), other.files.begin(), other.files.end(),
                      [](const auto& a, const auto& b) {
                          return a.first == b.first &&
                                 (a.second == b.second || *a.second == *b.second);
                      });
}

struct PowerCutFileSystem::Inode {
    struct Write {
        std::uint64_t offset = 0;
        Bytes bytes;
    };
    Bytes content;
    std::shared_ptr<const Bytes> durable = std::make_shared<Bytes>();
    std::vector<Write> pending;  // in order, since the last sync
    std::int64_t modified_ns = 0;
};

struct PowerCutFileSystem::Folder {
    std::map<std::string, Entry> names;
    std::map<std::string, Entry> durable;
    std::vector<Change> pending;  // in order, since the last sync
};

class PowerCutFileSystem::MemoryFile final : public File {
 public:
    MemoryFile(PowerCutFileSystem& owner, std::shared_ptr<Inode> inode, std::filesystem::path path)
        : owner_(owner), inode_(std::move(inode)), path_(std::move(path)) {}

    Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) override {
        const std::lock_guard lock(owner_.mutex_);
        const Bytes& content = inode_->content;
        if (offset >= content.size()) return std::size_t{0};
        const std::size_t count = std::min<std::size_t>(out.size(), content.size() - offset);
        std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
        return count;
    }
    Result<std::optional<std::size_t>> read_at_nowait(std::uint64_t offset,
                                                      MutableByteSpan out) override {
        const auto count = read_at(offset, out);
        return std::optional(*count);
    }
    Status write_at(std::uint64_t offset, ByteSpan bytes) override {
        const std::lock_guard lock(owner_.mutex_);
        write_into(inode_->content, offset, bytes);
        inode_->pending.push_back({offset, Bytes(bytes.begin(), bytes.end())});
        inode_->modified_ns = ++owner_.time_ns_;
        owner_.changed();
        return {};
    }
    Status sync_data() override {
        const std::lock_guard lock(owner_.mutex_);
        if (!owner_.lies(Lie::kData, path_)) {
            inode_->durable = std::make_shared<Bytes>(inode_->content);
            inode_->pending.clear();
        }
        owner_.changed();
        return {};
    }
    Result<std::uint64_t> size() const override {
        const std::lock_guard lock(owner_.mutex_);
        return std::uint64_t{inode_->content.size()};
    }
    void will_need(std::uint64_t, std::uint64_t) override {}

 private:
    PowerCutFileSystem& owner_;
    const std::shared_ptr<Inode> inode_;
    const std::filesystem::path path_;
};

PowerCutFileSystem::PowerCutFileSystem(const DiskImage& image, std::uint64_t seed)
    : random_(seed), root_(std::make_shared<Folder>()) {
    const auto add = [&](const std::filesystem::path& path, Entry entry) {
        const auto folder = folder_at(path.parent_path());
        folder->names[path.filename()] = entry;
        folder->durable[path.filename()] = std::move(entry);
    };
    // Sorted: a folder comes before what is in it.
    for (const std::string& path : image.folders) add(path, {nullptr, std::make_shared<Folder>()});
    for (const auto& [path, content] : image.files) {
        const auto inode = std::make_shared<Inode>();
        inode->content = *content;
        inode->durable = content;
        inode->modified_ns = time_ns_;
        add(path, {inode, nullptr});
    }
    images_.push_back(image);
}

PowerCutFileSystem::~PowerCutFileSystem() = default;

void PowerCutFileSystem::set_lie(Lie lie, const std::filesystem::path& folder) {
    const std::lock_guard lock(mutex_);
    lie_ = lie;
    lie_below_ = folder.string();
}

bool PowerCutFileSystem::lies(Lie lie, const std::filesystem::path& path) const {
    return lie_ == lie && path.string().starts_with(lie_below_);
}

std::size_t PowerCutFileSystem::changes() const {
    const std::lock_guard lock(mutex_);
    return images_.size() - 1;
}

DiskImage PowerCutFileSystem::image(std::size_t changes) const {
    const std::lock_guard lock(mutex_);
    return images_.at(changes);
}

// --- the file system as it is --------------------------------------------------------------------

std::shared_ptr<PowerCutFileSystem::Folder> PowerCutFileSystem::folder_at(
    const std::filesystem::path& path) const {
    auto folder = root_;
    for (const auto& part : path.relative_path()) {
        const auto found = folder->names.find(part);
        if (found == folder->names.end() || !found->second.folder) return nullptr;
        folder = found->second.folder;
    }
    return folder;
}

std::optional<PowerCutFileSystem::Entry> PowerCutFileSystem::entry_at(
    const std::filesystem::path& path) const {
    if (!path.has_relative_path()) return Entry{nullptr, root_};
    const auto parent = folder_at(path.parent_path());
    if (!parent) return std::nullopt;
    const auto found = parent->names.find(path.filename());
    if (found == parent->names.end()) return std::nullopt;
    return found->second;
}

void PowerCutFileSystem::set_name(Folder& folder, const std::string& name,
                                  std::optional<Entry> entry, std::uint64_t group) {
    if (entry) {
        folder.names[name] = *entry;
    } else {
        folder.names.erase(name);
    }
    folder.pending.push_back({name, std::move(entry), group});
}

Result<std::unique_ptr<File>> PowerCutFileSystem::open_read(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(path);
    if (!entry || !entry->file) return missing(path);
    return std::unique_ptr<File>(std::make_unique<MemoryFile>(*this, entry->file, path));
}

Result<std::unique_ptr<File>> PowerCutFileSystem::create_at(const std::filesystem::path& path) {
    const auto parent = folder_at(path.parent_path());
    if (!parent) return missing(path);
    const auto inode = std::make_shared<Inode>();
    inode->modified_ns = ++time_ns_;
    set_name(*parent, path.filename(), Entry{inode, nullptr}, next_group_++);
    changed();
    return std::unique_ptr<File>(std::make_unique<MemoryFile>(*this, inode, path));
}

Result<std::unique_ptr<File>> PowerCutFileSystem::open_write(const std::filesystem::path& path,
                                                             std::uint32_t) {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(path);
    if (!entry) return create_at(path);
    if (!entry->file) return make_error(ErrorCode::kUnavailable, path.string() + ": a folder");
    return std::unique_ptr<File>(std::make_unique<MemoryFile>(*this, entry->file, path));
}

Result<std::unique_ptr<File>> PowerCutFileSystem::create(const std::filesystem::path& path,
                                                         std::uint32_t) {
    const std::lock_guard lock(mutex_);
    if (entry_at(path)) return make_error(ErrorCode::kInvalid, path.string() + ": exists");
    return create_at(path);
}

Status PowerCutFileSystem::rename(const std::filesystem::path& from,
                                  const std::filesystem::path& to) {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(from);
    const auto target = folder_at(to.parent_path());
    if (!entry || !entry->file || !target) return missing(to);
    const auto source = folder_at(from.parent_path());
    const std::uint64_t group = next_group_++;
    set_name(*target, to.filename(), *entry, group);
    set_name(*source, from.filename(), std::nullopt, source == target ? group : next_group_++);
    changed();
    return {};
}

Status PowerCutFileSystem::remove(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(path);
    if (!entry) return missing(path);
    if (!entry->file) return make_error(ErrorCode::kUnavailable, path.string() + ": a folder");
    set_name(*folder_at(path.parent_path()), path.filename(), std::nullopt, next_group_++);
    changed();
    return {};
}

Status PowerCutFileSystem::make_directories(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    auto folder = root_;
    for (const auto& part : path.relative_path()) {
        const auto found = folder->names.find(part);
        if (found == folder->names.end()) {
            auto made = std::make_shared<Folder>();
            set_name(*folder, part, Entry{nullptr, made}, next_group_++);
            changed();
            folder = std::move(made);
            continue;
        }
        if (!found->second.folder) {
            return make_error(ErrorCode::kUnavailable, path.string() + ": a file is in the way");
        }
        folder = found->second.folder;
    }
    return {};
}

Status PowerCutFileSystem::sync_directory(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    const auto folder = folder_at(path);
    if (!folder) return missing(path);
    if (!lies(Lie::kNames, path)) {
        folder->durable = folder->names;
        folder->pending.clear();
    }
    changed();
    return {};
}

Result<FileInfo> PowerCutFileSystem::info(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    const auto entry = entry_at(path);
    if (!entry) return missing(path);
    FileInfo info;
    info.is_directory = entry->folder != nullptr;
    info.is_regular = entry->file != nullptr;
    info.mode = 0644;
    if (entry->file) {
        info.size_bytes = entry->file->content.size();
        info.modified_ns = entry->file->modified_ns;
        info.accessed_ns = entry->file->modified_ns;
    }
    return info;
}

Status PowerCutFileSystem::list(const std::filesystem::path& path,
                                const std::function<bool(const std::string& name)>& each) {
    std::vector<std::string> names;
    {
        const std::lock_guard lock(mutex_);
        const auto folder = folder_at(path);
        if (!folder) return missing(path);
        for (const auto& [name, entry] : folder->names) names.push_back(name);
    }
    for (const std::string& name : names) {
        if (!each(name)) break;
    }
    return {};
}

Result<SpaceInfo> PowerCutFileSystem::space(const std::filesystem::path& path) {
    const std::lock_guard lock(mutex_);
    if (!entry_at(path)) return missing(path);
    return SpaceInfo{1ULL << 40, 1ULL << 39};
}

// --- the power cut -------------------------------------------------------------------------------

void PowerCutFileSystem::changed() {
    images_.push_back(cut());
}

DiskImage PowerCutFileSystem::cut() {
    // Half of the time the plainest disk: one that writes nothing that it was not made to.
    static constexpr Luck kLucks[] = {Luck::kNothing, Luck::kNothing, Luck::kNothing,
                                      Luck::kPrefix,  Luck::kSubset,  Luck::kAll};
    DiskImage image;
    cut_folder(*root_, "", kLucks[below(std::size(kLucks))], image);
    return image;
}

/// Which of the changes since the last sync have reached the disk.
std::set<std::uint64_t> PowerCutFileSystem::kept_groups(const Folder& folder, Luck luck) {
    std::set<std::uint64_t> kept;
    if (luck == Luck::kNothing || folder.pending.empty()) return kept;
    const std::size_t prefix = below(folder.pending.size() + 1);
    for (std::size_t i = 0; i < folder.pending.size(); ++i) {
        const bool keep = luck == Luck::kAll || (luck == Luck::kPrefix && i < prefix) ||
                          (luck == Luck::kSubset && below(2) == 0);
        if (keep) kept.insert(folder.pending[i].group);
    }
    return kept;
}

void PowerCutFileSystem::cut_folder(const Folder& folder, const std::string& path, Luck luck,
                                    DiskImage& image) {
    std::map<std::string, Entry> names = folder.durable;
    const auto kept = kept_groups(folder, luck);
    for (const Change& change : folder.pending) {
        if (!kept.contains(change.group)) continue;
        if (change.entry) {
            names[change.name] = *change.entry;
        } else {
            names.erase(change.name);
        }
    }
    for (const auto& [name, entry] : names) {
        const std::string below_path = path + "/" + name;
        if (entry.folder) {
            image.folders.insert(below_path);
            cut_folder(*entry.folder, below_path, luck, image);
        } else {
            image.files[below_path] = cut_file(*entry.file, luck);
        }
    }
}

std::shared_ptr<const Bytes> PowerCutFileSystem::cut_file(const Inode& inode, Luck luck) {
    if (luck == Luck::kNothing || inode.pending.empty()) return inode.durable;
    if (luck == Luck::kAll) return std::make_shared<Bytes>(inode.content);
    auto content = std::make_shared<Bytes>(*inode.durable);
    const std::size_t prefix = below(inode.pending.size() + 1);
    for (std::size_t i = 0; i < inode.pending.size(); ++i) {
        const auto& write = inode.pending[i];
        const ByteSpan bytes(write.bytes);
        if (luck == Luck::kPrefix) {
            if (i < prefix) write_into(*content, write.offset, bytes);
            continue;
        }
        switch (below(4)) {
            case 0:  // lost
                break;
            case 1:  // torn
                write_into(*content, write.offset, bytes.first(below(bytes.size() + 1)));
                break;
            case 2:  // the length, not the data
                write_into(*content, write.offset, Bytes(bytes.size(), 0));
                break;
            default:
                write_into(*content, write.offset, bytes);
        }
    }
    return content;
}

}  // namespace kollator::testing_support
