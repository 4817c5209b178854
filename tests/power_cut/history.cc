#include "tests/power_cut/history.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/hash.h"
#include "loop/system_clock.h"
#include "store/filesystem_store.h"

namespace kollator::power_cut {
namespace {

using testing_support::DiskImage;
using testing_support::FileOperation;
using testing_support::PowerCutFileSystem;

constexpr std::chrono::seconds kPatience{60};
constexpr int kSteps = 12;
constexpr std::size_t kMaxBusy = 3;
/// A few chunks: evictions are a part of every history.
constexpr std::uint64_t kCacheBytes = 20'000;

SharedBuffer buffer_of(const Bytes& bytes) {
    auto buffer = std::make_shared<Buffer>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), buffer->data());
    return buffer;
}

constexpr std::string_view kInfo =
    "d9:file treed1:ad0:d6:lengthi0eeee12:meta versioni2e4:name1:a12:piece lengthi16384ee";

MetadataId torrent_id() {
    return MetadataId(crypto::sha256(as_bytes(kInfo)));
}

/// A metainfo file whose content changes with `version`, outside of what names it.
Bytes torrent_of(unsigned version) {
    const std::string comment = "version " + std::to_string(version);
    const std::string text = "d7:comment" + std::to_string(comment.size()) + ":" + comment +
                             "4:info" + std::string(kInfo) + "e";
    return Bytes(text.begin(), text.end());
}

/// Reads an object to its end.
class Reading {
 public:
    Reading(chunk::ChunkService& chunks, const store::ObjectKey& key) {
        const auto ready = [this] { take(); };
        reader_ = key.kind == store::ObjectKind::kChunk
                      ? chunks.open(ChunkId(key.hash), 0, 0, ready)
                      : chunks.open(MetadataId(key.hash), 0, 0, ready);
        take();
    }
    bool ended() const { return error.has_value() || reader_->finished(); }

    Bytes content;
    std::optional<Error> error;

 private:
    void take() {
        while (!ended()) {
            auto slice = reader_->next(100'000);
            if (!slice) {
                error = slice.error();
                return;
            }
            if (!*slice) return;
            content.insert(content.end(), (*slice)->bytes.begin(), (*slice)->bytes.end());
        }
    }
    std::unique_ptr<chunk::Reader> reader_;
};

bool is_allowed(const Promise& promise, ByteSpan content) {
    return std::any_of(promise.allowed.begin(), promise.allowed.end(), [&](const Bytes& one) {
        return std::equal(one.begin(), one.end(), content.begin(), content.end());
    });
}

std::string object_path(const store::ObjectKey& key) {
    const std::string hex = key.hex();
    const char* kind = key.kind == store::ObjectKind::kChunk ? "chunks/" : "torrents/";
    return std::string("/data/store/") + kind + hex.substr(0, 2) + "/" + hex;
}

void check_reads(EventLoop& loop, Storage& storage, const Promises& promises,
                 std::vector<std::string>& faults) {
    std::map<store::ObjectKey, std::unique_ptr<Reading>> readings;
    for (const auto& [key, promise] : promises.of) {
        if (!promise.removed) readings[key] = std::make_unique<Reading>(storage.chunks(), key);
    }
    const bool all = loop.run_until(
        [&] {
            return std::all_of(readings.begin(), readings.end(),
                               [](const auto& one) { return one.second->ended(); });
        },
        kPatience);
    KOLLATOR_CHECK(all);
    for (const auto& [key, reading] : readings) {
        const Promise& promise = promises.of.at(key);
        if (reading->error && promise.kept) {
            faults.push_back("lost " + key.path() + ": " + reading->error->detail);
        } else if (!reading->error && !is_allowed(promise, reading->content)) {
            faults.push_back("wrong bytes of " + key.path());
        }
    }
}

/// What the object store itself holds, whatever the worker knows.
void check_objects(PowerCutFileSystem& disk, const Promises& promises,
                   std::vector<std::string>& faults) {
    const DiskImage now = [&] {
        DiskImage image;
        for (const auto& [key, promise] : promises.of) {
            auto content = read_file(disk, object_path(key), 1'000'000);
            if (content) {
                image.files[object_path(key)] = std::make_shared<Bytes>(std::move(*content));
            }
        }
        return image;
    }();
    for (const auto& [key, promise] : promises.of) {
        const auto found = now.files.find(object_path(key));
        if (found == now.files.end()) {
            if (promise.kept) faults.push_back("not in the object store: " + key.path());
        } else if (promise.removed) {
            faults.push_back("came back: " + key.path());
        } else if (!is_allowed(promise, *found->second)) {
            faults.push_back("wrong bytes in the object store: " + key.path());
        }
    }
}

}  // namespace

std::size_t Promises::kept_count() const {
    return static_cast<std::size_t>(
        std::count_if(of.begin(), of.end(), [](const auto& one) { return one.second.kept; }));
}

Storage::Storage(EventLoop& loop, FileSystem& fs, Policy policy, std::size_t job_threads,
                 std::uint64_t seed)
    : random_(seed), jobs_(job_threads) {
    const auto made = make_directories_durably(fs, "/data");  // as DataDir does
    KOLLATOR_CHECK(made.ok());
    below_ = store::make_filesystem_store(loop, jobs_, fs, random_, {"/data/store"});
    store::JournalOptions journal;
    journal.root = "/data/journal";
    journal.accepts = policy == Policy::kBack;
    journal.backlog.min_pause = std::chrono::milliseconds(1);
    journal.backlog.max_pause = std::chrono::milliseconds(4);
    auto opened = store::JournaledStore::open(loop, jobs_, fs, system_clock(), random_, *below_,
                                              journal, metrics_);
    if (!opened) {
        error_ = opened.error();
        return;
    }
    journal_ = std::move(*opened);
    cache::CacheOptions options;
    options.path = "/data/cache";
    options.max_bytes = kCacheBytes;
    disk_cache_ = cache::open_disk_cache(loop, jobs_, fs, system_clock(), options);
    options.path = "/data/metadata";
    options.replaceable = true;
    metadata_cache_ = cache::open_disk_cache(loop, jobs_, fs, system_clock(), options);
    chunks_ = chunk::make_chunk_service(loop, jobs_, system_clock(), *disk_cache_, *metadata_cache_,
                                        objects(), {}, metrics_);
}

Storage::~Storage() = default;

bool Storage::all_sent() const {
    return !journal_ || journal_->journal_stats().size_bytes == 0;
}

// --- a history -----------------------------------------------------------------------------------

History::History(const DiskImage& image, Promises before, Policy policy, std::uint64_t seed)
    : disk_(image, seed), fs_(disk_), before_(std::move(before)), policy_(policy), random_(seed) {
    fs_.set_hook([this](FileOperation operation, const std::filesystem::path& path) {
        const bool fails = away_ && operation == FileOperation::kCreate &&
                           path.string().starts_with("/data/store/");
        return fails ? std::optional(make_error(ErrorCode::kUnavailable, "away")) : std::nullopt;
    });
}

void History::wait(const std::function<bool()>& done) {
    KOLLATOR_CHECK(loop_.run_until(done, kPatience));
}

void History::run() {
    storage_ = std::make_unique<Storage>(loop_, fs_, policy_, 2, random_.u64());
    KOLLATOR_CHECK(!storage_->error());
    for (int i = 0; i < kSteps; ++i) {
        step();
        const std::size_t bound = random_.u32() % (kMaxBusy + 1);
        wait([&] { return busy_.size() <= bound; });
    }
    wait([&] { return busy_.empty(); });
    if (random_.u32() % 2 == 0) {
        away_ = false;
        wait([&] { return storage_->all_sent(); });
    }
    storage_.reset();
    removals_.clear();
}

void History::step() {
    switch (random_.u32() % 12) {
        case 0:
        case 1:
            return store_torrent();
        case 2:
            away_ = policy_ == Policy::kBack && !away_;
            return;
        case 3:
            return remove_one();
        case 4:
            return restart();
        default:
            return store_chunk();
    }
}

void History::store_chunk() {
    Bytes content(1 + random_.u32() % 6000);
    random_.fill(content);
    const ChunkId id(crypto::sha256(content));
    const store::ObjectKey key(id);
    busy_.insert(key);
    note(Step::kStoreBegun, key, content);
    storage_->chunks().store(id, buffer_of(content), [this, key, content](const auto& outcome) {
        busy_.erase(key);
        if (!outcome) return;
        stored_.insert(key);
        note(Step::kStored, key, content);
    });
}

void History::store_torrent() {
    const store::ObjectKey key(torrent_id());
    if (busy_.contains(key)) return;
    // Versions go on where the last life's ended.
    const auto before = before_.of.find(key);
    const std::size_t earlier = before == before_.of.end() ? 0 : before->second.allowed.size();
    const Bytes content = torrent_of(static_cast<unsigned>(earlier * 1000) + ++torrent_version_);
    busy_.insert(key);
    note(Step::kStoreBegun, key, content);
    storage_->chunks().store(torrent_id(), buffer_of(content),
                             [this, key, content](const auto& outcome) {
                                 busy_.erase(key);
                                 if (outcome) note(Step::kStored, key, content);
                             });
}

void History::remove_one() {
    if (stored_.empty()) return;
    auto chosen = stored_.begin();
    std::advance(chosen, random_.u32() % stored_.size());
    const store::ObjectKey key = *chosen;
    stored_.erase(chosen);
    busy_.insert(key);
    note(Step::kRemovalBegun, key, {});
    storage_->disk_cache().remove(ChunkId(key.hash));
    removals_.push_back(storage_->objects().remove(key, [this, key](const Status& status) {
        busy_.erase(key);
        if (status) note(Step::kRemoved, key, {});
    }));
}

void History::restart() {
    wait([&] { return busy_.empty(); });
    removals_.clear();
    storage_.reset();
    storage_ = std::make_unique<Storage>(loop_, fs_, policy_, 2, random_.u64());
    KOLLATOR_CHECK(!storage_->error());
}

void History::note(Step what, const store::ObjectKey& key, const Bytes& content) {
    events_.push_back({disk_.changes(), what, key, content});
}

Promises History::promises_at(std::size_t changes) const {
    Promises promises = before_;
    for (const Event& event : events_) {
        if (event.changes > changes) continue;
        Promise& promise = promises.of[event.key];
        switch (event.step) {
            case Step::kStoreBegun:
                promise.removed = false;
                promise.allowed.push_back(event.content);
                break;
            case Step::kStored:
                promise.kept = true;
                promise.allowed = {event.content};
                break;
            case Step::kRemovalBegun:
                promise.kept = false;
                break;
            case Step::kRemoved:
                promise.removed = true;
                break;
        }
    }
    return promises;
}

std::vector<std::string> faults_of_recovery(const DiskImage& image, const Promises& promises,
                                            Policy policy, std::uint64_t seed) {
    std::vector<std::string> faults;
    PowerCutFileSystem disk(image, seed);
    EventLoop loop;
    {
        Storage storage(loop, disk, policy, 1, seed);
        if (storage.error()) return {"does not start: " + storage.error()->detail};
        check_reads(loop, storage, promises, faults);
        if (!loop.run_until([&] { return storage.all_sent(); }, kPatience)) {
            faults.push_back("the backlog does not go out");
        }
    }
    check_objects(disk, promises, faults);
    return faults;
}

}  // namespace kollator::power_cut
