#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/ids.h"
#include "base/time.h"
#include "cache/disk_cache.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::cache {

struct ScrubOptions {
    std::filesystem::path folder;                      ///< the cache's: where the state is kept
    Duration interval = std::chrono::hours(168);       ///< everything is read once in it; zero: off
    std::uint64_t max_bytes_per_second = 10'000'000;   ///< however much has to be made up for
    Duration longest_pause = std::chrono::minutes(1);  ///< the rate is looked at anew this often
    Duration save_interval = std::chrono::minutes(1);  ///< at most so much is read again
};

/// How far the scrubber is, over restarts. Chunks are read in ascending order of their names, which
/// are hashes: so a position says what share of all is done.
struct ScrubState {
    ChunkId position;               ///< the last that was read
    std::int64_t pass_began_s = 0;  ///< since 1970; 0: no pass was begun yet
    std::int64_t pass_ended_s = 0;  ///< of the last whole pass; 0: none
    std::uint64_t passes = 0;
    std::uint64_t checked = 0;  ///< chunks, of all passes
    std::uint64_t checked_bytes = 0;
    std::uint64_t damaged = 0;

    bool operator==(const ScrubState&) const = default;
};

/// As it is kept in the folder: one line of text and its checksum.
std::string format_scrub_state(const ScrubState& state);
std::optional<ScrubState> parse_scrub_state(std::string_view text);

/// From 0 to 1: what share of all names is up to `position`.
double share_up_to(const ChunkId& position);

/// At which rate to go on so that the pass ends when the interval does. Pure.
double scrub_rate(const ScrubState& state, std::uint64_t cached_bytes, std::int64_t now_s,
                  const ScrubOptions& options);

struct ScrubStats {
    bool enabled = false;
    bool between_passes = false;  ///< this interval's pass is done
    double share_done = 0;        ///< of the pass
    double bytes_per_second = 0;  ///< that it goes at
    ScrubState state;
};

/// Reads every cached chunk once in an interval and checks it (DiskCache::verify), at an even pace,
/// and only while no job waits; but each within kPatience. What is damaged has gone from the cache
/// when `on_damaged` is told. Goes on after a restart where it was. Loop thread only.
class Scrubber {
 public:
    using OnDamaged = std::function<void(const ChunkId&)>;

    /// How long a chunk's turn may be put off because others have work to do.
    static constexpr std::chrono::seconds kPatience{10};

    /// All references outlive it.
    Scrubber(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
             DiskCache& disk_cache, ScrubOptions options, OnDamaged on_damaged);
    Scrubber(const Scrubber&) = delete;
    Scrubber& operator=(const Scrubber&) = delete;

    ScrubStats stats() const;
    /// Stops, and writes down how far it is.
    void close(std::function<void()> on_done);

 private:
    void begin(std::optional<ScrubState> kept);
    void step();
    void step_after(Duration delay);
    void earn();
    void begin_pass();
    void end_pass();
    void check(const CacheEntry& entry);
    void on_checked(const CacheEntry& entry, const Status& status);
    void save(std::function<void()> on_done);
    std::int64_t now_s() const;

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    FileSystem& fs_;
    const Clock& clock_;
    DiskCache& cache_;
    const ScrubOptions options_;
    const OnDamaged on_damaged_;

    // state
    Timer timer_;
    ScrubState state_;
    bool begun_ = false;  // the state is known
    bool closed_ = false;
    double credit_bytes_ = 0;  // may be read now
    TimePoint earned_at_{};
    TimePoint put_off_since_{};
    TimePoint saved_at_{};
    bool put_off_ = false;
    bool saving_ = false;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cache
