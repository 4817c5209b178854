#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"
#include "store/s3/s3_store.h"

namespace kollator::store::s3 {

/// "2026-11", of UTC: what providers bill by.
std::string month_of(WallTime time);

/// What was received in a month, as it is kept: "2026-11 123456\n".
struct EgressRecord {
    std::string month;
    std::uint64_t bytes = 0;
    bool operator==(const EgressRecord&) const = default;
};
std::string format_egress(const EgressRecord& record);
std::optional<EgressRecord> parse_egress(std::string_view text);

/// Lets bytes through at a rate: a request takes what it may need and gives back what it did not,
/// and the next waits until the debt is paid. Pure.
class RateLimit {
 public:
    RateLimit(std::uint64_t bytes_per_second, TimePoint now)
        : rate_(static_cast<double>(bytes_per_second)), refilled_(now) {}

    /// Zero where take() may be called now.
    Duration wait(TimePoint now);
    void take(std::uint64_t bytes) { allowance_ -= static_cast<double>(bytes); }
    void give_back(std::uint64_t bytes) { allowance_ += static_cast<double>(bytes); }

 private:
    const double rate_;
    double allowance_ = 0;  ///< bytes; at most a second's
    TimePoint refilled_;
};

/// Counts what the provider bills as egress, by calendar month, over restarts, and says when
/// misses have to be slowed. Loop thread only.
class EgressMeter {
 public:
    /// Reads the file: at the start only. One that is damaged counts as none, with a warning.
    EgressMeter(EventLoop& loop, const Clock& clock, const S3Options& options);
    /// Writes the file, waiting for it: at the end only.
    ~EgressMeter();

    /// Everything that was received by this process so far.
    void note_total(std::uint64_t total_bytes);

    /// True where the month's budget is used up.
    bool limits() const;
    /// While limits(): how long a request has to wait; zero: it may go, and is charged.
    Duration try_take(std::uint64_t bytes);
    void give_back(std::uint64_t bytes);

    std::optional<EgressStats> stats() const;
    std::optional<StoreCheck> check() const;

 private:
    class Keeper;

    void roll_over();
    void save();

    EventLoop& loop_;
    const Clock& clock_;
    const S3Options options_;
    const std::shared_ptr<Keeper> keeper_;  ///< shared with the job that writes
    EgressRecord record_;
    std::uint64_t total_bytes_ = 0;
    bool changed_ = false;
    std::string problem_;
    std::optional<RateLimit> rate_;  ///< while limited
    Timer save_timer_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::store::s3
