#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace kollator::peer {

/// How soon a worker that owes an answer and is silent counts as lost. Somebody who waits for a
/// file is to go on at another worker within 5 s (specification): 3 s of silence and a tick are
/// noticed, and the rest is for reaching the other one. client/src/connection/liveness.ts has the
/// same numbers.
struct LivenessLimits {
    /// Between looks; zero: nobody looks.
    Duration tick = std::chrono::milliseconds(250);
    /// A question that is cheap to answer is sent then: who works on what takes long answers it.
    Duration probe_after = std::chrono::milliseconds(1500);
    Duration lost_after = std::chrono::milliseconds(3000);
    /// What a tick counts for at most. One that comes later was held up here, and what the worker
    /// sent meanwhile is still to be read.
    Duration longest_tick = std::chrono::seconds(1);
};

/// Watches one connection while something is owed to us. Pure.
class Liveness {
 public:
    enum class Step : std::uint8_t { kNone, kProbe, kLost };

    explicit Liveness(const LivenessLimits& limits) : limits_(limits) {}

    /// From now on something is owed. `signs` grows with whatever comes from the other side.
    void begin(TimePoint now, std::uint64_t signs) {
        looked_ = now;
        signs_ = signs;
        silent_ = Duration::zero();
        probed_ = false;
    }

    /// Each tick, while something is owed. kProbe once in a silence.
    Step look(TimePoint now, std::uint64_t signs) {
        const Duration since = std::min<Duration>(now - looked_, limits_.longest_tick);
        if (signs != signs_)
            begin(now, signs);
        else
            silent_ += since;
        looked_ = now;
        if (silent_ >= limits_.lost_after) return Step::kLost;
        if (probed_ || silent_ < limits_.probe_after) return Step::kNone;
        probed_ = true;
        return Step::kProbe;
    }

 private:
    const LivenessLimits limits_;
    TimePoint looked_{};
    std::uint64_t signs_ = 0;
    Duration silent_ = Duration::zero();
    bool probed_ = false;
};

}  // namespace kollator::peer
