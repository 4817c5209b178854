#include "rtc/sctp/usrsctp_stack.h"

#include <usrsctp.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/check.h"
#include "rtc/sctp/usrsctp_association.h"
#include "rtc/sctp/usrsctp_library.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;

/// usrsctp looks through all timers at each tick: seldom is cheaper (1,000 idle associations took 7
/// % of a core at 10 ms, 2.7 % at 50), and often is prompter while something is in flight.
constexpr milliseconds kBusyTick{10};
constexpr milliseconds kIdleTick{50};
/// What still owes a delayed SACK after the last packet is done by then.
constexpr milliseconds kActivityLinger{100};
/// Without associations only the remains of closed ones wait.
constexpr milliseconds kEmptyTick{1000};
/// A longer gap (a machine that slept) is one tick of this, not a storm of expired timers at once.
constexpr milliseconds kLongestTick{60'000};

bool stack_exists = false;  // usrsctp's state is the process's: one loop drives it

}  // namespace

UsrsctpStack::UsrsctpStack(const SctpStackOptions& options) : budget_(options) {
    KOLLATOR_CHECK(!stack_exists);
    stack_exists = true;
    init_usrsctp();
}

UsrsctpStack::~UsrsctpStack() {
    KOLLATOR_CHECK(associations_ == 0);
    stack_exists = false;
}

std::unique_ptr<SctpAssociation> UsrsctpStack::make(const SctpOptions& options,
                                                    SctpObserver& observer) {
    return std::make_unique<UsrsctpAssociation>(*this, options, observer);
}

void UsrsctpStack::handle_timers(TimePoint now) {
    if (!last_tick_) last_tick_ = now;
    latest_ = now;
    const auto elapsed = std::chrono::duration_cast<milliseconds>(now - *last_tick_);
    if (elapsed.count() <= 0) return;
    *last_tick_ += elapsed;  // the rest of the millisecond counts next time
    usrsctp_handle_timers(static_cast<std::uint32_t>(std::min(elapsed, kLongestTick).count()));
}

void UsrsctpStack::catch_up(TimePoint now) {
    if (!last_tick_ || now - *last_tick_ >= kBusyTick) handle_timers(now);
}

TimePoint UsrsctpStack::next_timeout(TimePoint now) const {
    if (!last_tick_) return now;
    if (associations_ == 0) return *last_tick_ + kEmptyTick;
    const bool lately = last_activity_ && now - *last_activity_ < kActivityLinger;
    return *last_tick_ + (busy_ > 0 || lately ? kBusyTick : kIdleTick);
}

std::unique_ptr<SctpStack> make_usrsctp_stack(const SctpStackOptions& options) {
    return std::make_unique<UsrsctpStack>(options);
}

}  // namespace kollator::rtc
