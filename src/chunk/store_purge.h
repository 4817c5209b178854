#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "chunk/deletions.h"
#include "chunk/denylist.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::chunk {

struct StorePurgeOptions {
    /// Where it is noted which list has been purged as a whole, so that a restart does not begin
    /// anew.
    std::filesystem::path mark_path;
    std::size_t parallel = 8;  ///< deletions at once
    Duration retry_after = std::chrono::seconds(30);
};

/// Deletes what the denylist names from the object store, chunk and torrent alike: two requests for
/// each hash that is new on the list. Loop thread only; destroying it ends it.
class StorePurge {
 public:
    using Remove = std::function<void(const store::ObjectKey& key, Deletions::OnRemoved on_done)>;

    struct Stats {
        std::size_t hashes_left = 0;  ///< of the list, at most
        std::uint64_t purged = 0;     ///< hashes, whether or not something was there
        std::uint64_t failures = 0;   ///< tried again
    };

    /// References outlive it.
    StorePurge(EventLoop& loop, JobPool& jobs, FileSystem& fs, Remove remove,
               StorePurgeOptions options);

    /// From now on `list` is purged; what an earlier list had and was purged of is passed over.
    void set_denylist(DenylistPtr list);

    Stats stats() const;

 private:
    bool purged_before(const Denylist::Hash& hash) const;
    void begin(bool purged_already);
    void pump();
    void pump_soon();
    void purge(const Denylist::Hash& hash);
    void on_removed(const Denylist::Hash& hash, const Result<std::int64_t>& outcome);
    void try_again();
    void finish();

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    FileSystem& fs_;
    const Remove remove_;
    const StorePurgeOptions options_;

    // state
    Stats stats_;
    DenylistPtr list_;      // which is purged now
    std::size_t next_ = 0;  // its first hash that nobody has looked at
    bool begun_ = false;    // its mark has been looked for
    DenylistPtr done_;      // purged as a whole
    DenylistPtr partly_;    // purged below frontier_, where a newer list came in between
    Denylist::Hash frontier_{};
    std::size_t under_way_ = 0;           // hashes
    std::vector<Denylist::Hash> failed_;  // at most `parallel`: nothing more begins meanwhile
    std::uint64_t round_ = 0;             // of set_denylist()
    bool pump_posted_ = false;
    Timer retry_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
