#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "base/time.h"
#include "chunk/hidden_names.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::chunk {

struct DeletionOptions {
    /// Where deletions that wait are written down; empty: nowhere, and none can wait.
    std::filesystem::path path;
    /// An object younger than this costs its provider's minimum storage duration anyway: its
    /// deletion waits until it is as old. Zero: none waits.
    std::chrono::seconds min_age{0};
    std::size_t max_waiting = 100'000;  ///< about 90 bytes each, in memory and in the file
    std::size_t max_under_way = 1024;   ///< asked for and not answered
    std::size_t parallel = 4;           ///< deletions at the object store at once, of those due
    Duration interval = std::chrono::minutes(1);  ///< how often those due are looked for
};

/// Parses what deletions_text() gave: wrong lines are left out and counted. Pure.
struct WaitingDeletion {
    store::ObjectKey key;
    std::int64_t due_s = 0;  ///< since 1970
};
struct ParsedDeletions {
    std::vector<WaitingDeletion> waiting;
    std::size_t wrong_lines = 0;
};
ParsedDeletions parse_deletions(ByteSpan file);
std::string deletions_text(const std::vector<WaitingDeletion>& waiting);

//   remove()
//      |                age unknown or        too young
//   kAsking  ---------- old enough ------> kDeleting        kAsking --> kQueueing --> kWaiting
//   (only where deletions may wait)             |  ^                   (being written)   |
//                                               |  +--------------- due -----------------+
//                            was in the file: kClosing (being written), else gone
//
// before_store() of a name that waits: kWithdrawing (being written), then gone.
enum class DeletionPhase : std::uint8_t {
    kAsking,
    kQueueing,
    kWaiting,
    kDeleting,
    kClosing,
    kWithdrawing,
};

/// Deletes objects, at once or when they are old enough, across restarts. A name that is being
/// deleted, or waits for it, is hidden meanwhile. Loop thread only.
class Deletions {
 public:
    /// Seconds since 1970 when the object goes; 0: it is gone.
    using OnRemoved = std::function<void(Result<std::int64_t> due_s)>;
    using OnFree = std::function<void(Status)>;

    struct Stats {
        std::size_t waiting = 0;
        std::int64_t next_due_s = 0;  ///< of those waiting; 0: none
        std::uint64_t removed = 0;    ///< deleted at the object store
        std::uint64_t withdrawn = 0;  ///< stored anew while they waited
        std::uint64_t failures = 0;   ///< at the object store or the file; tried again if they wait
    };

    /// All references outlive it.
    Deletions(EventLoop& loop, JobPool& jobs, const Clock& clock, FileSystem& fs,
              store::ObjectStore& store, HiddenNames& hidden, DeletionOptions options);

    /// Reads what waited when the last process ended. Blocking: at the start. kUnavailable, kLimit:
    /// the file cannot be read, and deletions that were promised would be forgotten.
    Status load();

    /// Removing what is not there succeeds. An error means that nothing was promised: kUnavailable,
    /// kTimeout, kLimit (too many at once or waiting).
    void remove(const store::ObjectKey& key, OnRemoved on_done);

    /// Runs `go_on` when nothing deletes `key` any more; a deletion that waits is withdrawn, for
    /// good. At once, before it returns, where there is none. An error: it could not be withdrawn.
    void before_store(const store::ObjectKey& key, OnFree go_on);

    Stats stats() const;

 private:
    struct Entry {
        DeletionPhase phase = DeletionPhase::kAsking;
        std::int64_t due_s = 0;
        bool in_file = false;
        store::TransferHandle transfer;
        std::vector<OnRemoved> removers;
        std::vector<OnFree> storers;
    };
    using Entries = std::map<store::ObjectKey, Entry>;

    void wait(const store::ObjectKey& key, Entry& entry);
    void ask_age(const store::ObjectKey& key);
    void on_age(const store::ObjectKey& key, const Result<store::ListPage>& page);
    void enqueue(const store::ObjectKey& key, std::int64_t due_s);
    void delete_now(const store::ObjectKey& key);
    void on_deleted(const store::ObjectKey& key, const Status& status);
    void withdraw(const store::ObjectKey& key);
    void keep_waiting(const store::ObjectKey& key, const Error& error);
    void finish(const store::ObjectKey& key, const Result<std::int64_t>& outcome);
    void persist(std::function<void(Status)> then);
    void write_down();
    void tick();
    void delete_due();
    std::int64_t now_s() const;

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    const Clock& clock_;
    FileSystem& fs_;
    store::ObjectStore& store_;
    HiddenNames& hidden_;
    const DeletionOptions options_;

    // state
    Entries entries_;
    std::set<std::pair<std::int64_t, store::ObjectKey>> due_;  // of those that wait
    std::size_t deleting_due_ = 0;                             // under way, of those in the file
    Stats stats_;
    bool writing_ = false;
    std::vector<std::function<void(Status)>> unwritten_;  // changes that the next write holds
    Timer timer_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
