#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace kollator::store::s3 {

/// How many requests are sent at once: half as many each time that the server says that it is too
/// much, and slowly up again (one more for each round of successes, and for each kStepTime at
/// most, so that from 1 to 64 it takes half a minute). Pure; not thread-safe.
class ConcurrencyLimit {
 public:
    static constexpr Duration kStepTime = std::chrono::milliseconds(500);

    explicit ConcurrencyLimit(std::size_t max) : max_(max), value_(max) {}

    std::size_t value() const { return value_; }
    /// Counts the halvings: a request keeps the one under which it was sent.
    std::uint64_t era() const { return era_; }

    /// A request sent in `era` was refused as too much. A burst of refusals counts once: those of
    /// an earlier era are no news. True where the limit became less, or could not.
    bool on_too_much(std::uint64_t era, TimePoint now);
    void on_success(TimePoint now);

 private:
    const std::size_t max_;
    std::size_t value_;
    std::size_t successes_ = 0;  ///< since value_ last changed
    std::uint64_t era_ = 0;
    TimePoint changed_{};
};

}  // namespace kollator::store::s3
