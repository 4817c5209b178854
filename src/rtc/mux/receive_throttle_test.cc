#include "rtc/mux/receive_throttle.h"

#include <gtest/gtest.h>

namespace kollator::rtc {
namespace {

using std::chrono::microseconds;

/// Whether `count` wake-ups, `apart` from each other with `messages` each, make it busy.
bool becomes_busy(int count, microseconds apart, std::size_t messages) {
    ReceiveThrottle throttle;
    TimePoint now{};
    for (int i = 0; i < count; ++i, now += apart) {
        if (throttle.woken(messages, now)) return true;
    }
    return false;
}

TEST(ReceiveThrottle, ManyWakeUpsForLittleMakeItBusy) {
    EXPECT_TRUE(becomes_busy(17, microseconds(50), 1));
    EXPECT_TRUE(becomes_busy(17, microseconds(50), 3));
    EXPECT_FALSE(becomes_busy(16, microseconds(50), 1)) << "a burst";
    EXPECT_FALSE(becomes_busy(1000, microseconds(110), 1)) << "there is time";
    EXPECT_FALSE(becomes_busy(1000, microseconds(50), 5)) << "each brings enough";
}

TEST(ReceiveThrottle, IsBusyUntilLittleCame) {
    ReceiveThrottle throttle;
    EXPECT_FALSE(throttle.polled(1));
    EXPECT_FALSE(throttle.polled(0));
    EXPECT_FALSE(throttle.polled(2));
    EXPECT_FALSE(throttle.polled(0));
    EXPECT_FALSE(throttle.polled(1));
    EXPECT_TRUE(throttle.polled(1));
}

}  // namespace
}  // namespace kollator::rtc
