#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "cache/disk_cache.h"
#include "chunk/store_chunk_service.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/journal/journaled_store.h"
#include "store/object_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/power_cut_file_system.h"

namespace kollator::power_cut {

enum class Policy { kThrough, kBack };

/// What must be true of each object after a power cut.
struct Promise {
    bool kept = false;     ///< it is there, with one of `allowed`
    bool removed = false;  ///< it is not there
    /// The versions of its content that it may have, where it is there; the newest last.
    std::vector<Bytes> allowed;

    bool operator==(const Promise&) const = default;
};

struct Promises {
    std::map<store::ObjectKey, Promise> of;
    std::size_t kept_count() const;
    bool operator==(const Promises&) const = default;
};

/// A worker's storage on one disk: object store (a folder), journal, cache, chunk service.
class Storage {
 public:
    /// `loop` and `fs` outlive it.
    Storage(EventLoop& loop, FileSystem& fs, Policy policy, std::size_t job_threads,
            std::uint64_t seed);
    ~Storage();

    /// Set where it could not be opened; then nothing else may be called.
    const std::optional<Error>& error() const { return error_; }

    chunk::ChunkService& chunks() { return *chunks_; }
    store::ObjectStore& objects() { return journal_ ? *journal_ : *below_; }
    cache::DiskCache& disk_cache() { return *disk_cache_; }
    bool all_sent() const;

 private:
    SeededRandom random_;
    MetricsRegistry metrics_;
    JobPool jobs_;
    std::unique_ptr<store::ObjectStore> below_;
    std::unique_ptr<store::JournaledStore> journal_;
    std::unique_ptr<cache::DiskCache> disk_cache_;
    std::unique_ptr<cache::DiskCache> metadata_cache_;
    std::unique_ptr<chunk::StoreChunkService> chunks_;
    std::optional<Error> error_;
};

/// One life of a disk: a seeded run of stores, removals, outages of the object store, and clean
/// restarts, and what was promised when.
class History {
 public:
    History(const testing_support::DiskImage& image, Promises before, Policy policy,
            std::uint64_t seed);

    void run();
    testing_support::PowerCutFileSystem& disk() { return disk_; }
    /// What holds after a power cut that came when the disk had seen so many changes.
    Promises promises_at(std::size_t changes) const;

 private:
    enum class Step { kStoreBegun, kStored, kRemovalBegun, kRemoved };
    struct Event {
        std::size_t changes = 0;
        Step step = Step::kStoreBegun;
        store::ObjectKey key{ChunkId()};
        Bytes content;
    };

    void step();
    void store_chunk();
    void store_torrent();
    void remove_one();
    void restart();
    void note(Step what, const store::ObjectKey& key, const Bytes& content);
    void wait(const std::function<bool()>& done);

    testing_support::PowerCutFileSystem disk_;
    testing_support::FaultyFileSystem fs_;
    const Promises before_;
    const Policy policy_;
    SeededRandom random_;
    EventLoop loop_;
    std::atomic<bool> away_{false};  // the object store takes nothing
    std::unique_ptr<Storage> storage_;
    std::vector<store::TransferHandle> removals_;
    std::vector<Event> events_;
    std::set<store::ObjectKey> busy_;
    std::set<store::ObjectKey> stored_;
    unsigned torrent_version_ = 0;
};

/// Starts on what the power cut left, reads everything that was promised, lets the backlog go out,
/// and looks at the object store again. Gives what is wrong.
std::vector<std::string> faults_of_recovery(const testing_support::DiskImage& image,
                                            const Promises& promises, Policy policy,
                                            std::uint64_t seed);

}  // namespace kollator::power_cut
