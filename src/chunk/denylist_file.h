#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/file_system.h"
#include "chunk/denylist.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::chunk {

/// The denylist's file, watched: a change is in force within a second. Loop thread only; files are
/// read and parsed by jobs.
///
/// The file is looked at five times a second (path behind links, inode, size, time of change), and
/// in force once it looks the same as when it was read, kInterval later, so that one which is just
/// being written is not taken for a shorter list. A file that cannot be read leaves the last good
/// list in force.
class DenylistFile {
 public:
    using OnChange = std::function<void(const DenylistPtr& list)>;

    struct State {
        std::size_t hashes = 0;             ///< in force
        std::size_t fault_count = 0;        ///< lines that name nothing
        std::vector<DenylistFault> faults;  ///< the first of them
        std::optional<Error> error;         ///< it cannot be read now
    };

    static constexpr std::chrono::milliseconds kInterval{200};

    /// `on_change` is called with every list that was read, the first one within load(). All
    /// references outlive it.
    DenylistFile(EventLoop& loop, JobPool& jobs, FileSystem& fs, std::filesystem::path path,
                 OnChange on_change);

    /// Reads the file and begins to watch it. Blocking: at the start. An error leaves nothing in
    /// force and nothing watched: kNotFound, kUnavailable, kLimit (over kMaxDenylistBytes).
    Status load();

    /// Reads it anew as soon as it can, whether or not it looks changed.
    void reload();

    const State& state() const { return state_; }

 private:
    struct Look {
        std::filesystem::path target;
        std::uint64_t inode = 0;
        std::uint64_t size_bytes = 0;
        std::int64_t modified_ns = 0;
        bool operator==(const Look&) const = default;
    };
    struct Read {
        Look before;
        Look after;
        ParsedDenylist parsed;
    };

    static Result<Look> look(FileSystem& fs, const std::filesystem::path& path);
    static Result<Read> read(FileSystem& fs, const std::filesystem::path& path);

    void poll_later();
    void poll();
    void on_look(const Result<Look>& now);
    void on_read(const Result<Read>& read, const Look& first, TimePoint seen);
    void take(const Read& read);
    void note_error(const Error& error);

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    FileSystem& fs_;
    const std::filesystem::path path_;
    const OnChange on_change_;

    // state
    State state_;
    std::optional<Look> loaded_;   // empty: read it, however it looks
    std::optional<Read> pending_;  // read, and not yet known to have settled
    unsigned unsettled_ = 0;       // readings in a row of a file that changed
    Timer timer_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
