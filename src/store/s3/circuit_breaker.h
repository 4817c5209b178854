#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "store/object_store.h"

namespace kollator::store::s3 {

/// Stops asking a server that does not answer, so that requests fail at once instead of after their
/// timeouts, and so that a server that comes back is not met by all of them.
///
///            `failures` outages in a row, and no answer for `min_silence`
///   kClosed ────────────────────────────▶ kOpen ◀──────────┐ the probe failed: waits twice as
///      ▲                                    │ waited       │ long, max_wait at most
///      │ any answer                         ▼              │
///      └──────────────────────────────── kHalfOpen ────────┘
///                                        one request, the probe, goes through
///
/// A row alone does not open it: with many requests in flight at a server that fails half of them,
/// rows come by chance, many a second, while the other half is served.
///
/// Pure; not thread-safe.
class CircuitBreaker {
 public:
    struct Options {
        unsigned failures = 5;  ///< 0: never opens
        Duration min_silence = std::chrono::seconds(1);
        Duration min_wait = std::chrono::seconds(1);
        Duration max_wait = std::chrono::seconds(30);
    };
    enum class Pass : std::uint8_t { kYes, kProbe, kNo };

    explicit CircuitBreaker(const Options& options) : options_(options), wait_(options.min_wait) {}

    /// Whether a request may be sent now. After kProbe, tell what became of it.
    Pass pass(TimePoint now);
    /// Whether pass() would say kNo.
    bool refuses(TimePoint now) const;

    /// The server answered, whatever it said. True where that closed the circuit.
    bool on_answer(TimePoint now);
    /// No answer, or one that says that the server is out of order. True where that opened it.
    bool on_outage(TimePoint now, Pass pass);
    /// The request was cancelled: nothing is known.
    void on_cancelled(Pass pass);

    BreakerState state() const { return state_; }
    unsigned outages() const { return outages_; }  ///< in a row
    /// Until a probe may go; zero unless open.
    Duration wait_left(TimePoint now) const;

 private:
    void open(TimePoint now);

    const Options options_;
    BreakerState state_ = BreakerState::kClosed;
    unsigned outages_ = 0;
    Duration wait_;
    std::optional<TimePoint> answered_at_;
    TimePoint open_until_{};
};

}  // namespace kollator::store::s3
