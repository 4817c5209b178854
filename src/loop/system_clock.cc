#include "loop/system_clock.h"

namespace kollator {
namespace {

class SystemClock final : public Clock {
 public:
    TimePoint now() const override { return std::chrono::steady_clock::now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& system_clock() {
    static const SystemClock kClock;
    return kClock;
}

}  // namespace kollator
