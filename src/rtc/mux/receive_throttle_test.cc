#include "rtc/mux/receive_throttle.h"

#include <gtest/gtest.h>

namespace kollator::rtc {
namespace {

using std::chrono::microseconds;

/// Whether `count` wake-ups, `apart` from each other with `messages` each, make it busy.
bool becomes_busy(int count, microseconds apart, std::size_t messages, std::size_t bytes = 100) {
    ReceiveThrottle throttle;
    TimePoint now{};
    for (int i = 0; i < count; ++i, now += apart) {
        if (throttle.woken({messages, messages, messages * bytes}, now)) return true;
    }
    return false;
}

TEST(ReceiveThrottle, ManyWakeUpsForLittleMakeItBusy) {
    EXPECT_TRUE(becomes_busy(17, microseconds(50), 1));
    EXPECT_TRUE(becomes_busy(17, microseconds(50), 3));
    EXPECT_FALSE(becomes_busy(16, microseconds(50), 1)) << "a burst";
    EXPECT_FALSE(becomes_busy(1000, microseconds(110), 1)) << "there is time";
    EXPECT_FALSE(becomes_busy(1000, microseconds(50), 5)) << "each brings enough";
    EXPECT_FALSE(becomes_busy(1000, microseconds(50), 2, 700)) << "data, and acknowledgements";
}

TEST(ReceiveThrottle, IsBusyUntilLittleCame) {
    ReceiveThrottle throttle;
    const ReceiveThrottle::Read nothing, one{1, 1, 100}, many{9, 12, 1000}, data{9, 9, 9000};
    EXPECT_FALSE(throttle.polled(one));
    EXPECT_FALSE(throttle.polled(nothing));
    EXPECT_FALSE(throttle.polled(many));
    EXPECT_FALSE(throttle.polled(nothing));
    EXPECT_FALSE(throttle.polled(data));
    EXPECT_TRUE(throttle.polled(one));
}

}  // namespace
}  // namespace kollator::rtc
