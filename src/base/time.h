#pragma once

#include <chrono>

namespace kollator {

using Duration = std::chrono::nanoseconds;
/// Of the monotonic clock; a point in it means nothing outside this process.
using TimePoint = std::chrono::steady_clock::time_point;
/// Of the wall clock: for what people read, what goes to disk, and signatures.
using WallTime = std::chrono::system_clock::time_point;

/// Where time comes from. The real one is loop/system_clock.h; tests steer a ManualClock.
class Clock {
 public:
    virtual ~Clock() = default;
    virtual TimePoint now() const = 0;
    virtual WallTime wall_now() const = 0;
};

/// Stands still until told. Single-threaded.
class ManualClock final : public Clock {
 public:
    TimePoint now() const override { return now_; }
    WallTime wall_now() const override { return wall_; }
    void advance(Duration by) {
        now_ += std::chrono::duration_cast<TimePoint::duration>(by);
        wall_ += std::chrono::duration_cast<WallTime::duration>(by);
    }
    void set_wall(WallTime wall) { wall_ = wall; }

 private:
    TimePoint now_{std::chrono::hours(1)};
    WallTime wall_{std::chrono::seconds(1'763'800'000)};
};

}  // namespace kollator
