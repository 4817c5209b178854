#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace kollator::store::s3 {

/// How many requests may be sent again, so that retries never become the load that keeps a hurt
/// server down: in any minute before a retry, at most `percent` of the first attempts of that
/// minute, or `floor` where that is more (a quiet worker must be able to retry at all). Pure; not
/// thread-safe.
class RetryBudget {
 public:
    struct Options {
        unsigned percent = 10;  ///< of the first attempts; 0: the floor alone
        unsigned floor = 10;    ///< retries a minute
    };
    explicit RetryBudget(const Options& options) : options_(options) {}

    /// A first attempt is sent.
    void note_request(TimePoint now);
    /// Takes one retry out of the budget; false where none is left.
    bool try_take(TimePoint now);

 private:
    /// One second each; the one more is for the second that the minute began in, of which the
    /// retries count and the requests do not: the error is on the safe side.
    static constexpr std::int64_t kMinute = 60;
    struct Slot {
        std::int64_t second = -1;
        std::uint64_t requests = 0;
        std::uint64_t retries = 0;
    };

    Slot& slot_at(std::int64_t second);

    const Options options_;
    std::array<Slot, kMinute + 1> slots_{};
};

}  // namespace kollator::store::s3
