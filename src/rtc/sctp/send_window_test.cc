#include "rtc/sctp/send_window.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kInitial = 256 * 1024;
constexpr std::size_t kMax = 4 * 1024 * 1024;

/// A path that takes what the window lets through, up to its own rate.
struct Path {
    Duration round_trip;
    double bytes_per_second;

    void run(SendWindow& window, TimePoint& now, Duration how_long, bool limited = true) const {
        const TimePoint end = now + how_long;
        const double seconds_a_trip = std::chrono::duration<double>(round_trip).count();
        while (now < end) {
            now += round_trip;
            const double most = bytes_per_second * seconds_a_trip;
            const auto bytes =
                static_cast<std::size_t>(std::min(most, static_cast<double>(window.bytes())));
            if (limited) window.on_limited();
            window.on_acknowledged(now, bytes, round_trip);
        }
    }
};

class SendWindowTest : public ::testing::Test {
 protected:
    SendWindow window{kInitial, kMax};
    TimePoint now{std::chrono::hours(1)};
};

TEST_F(SendWindowTest, GrowsToTwiceWhatAFarPathHolds) {
    Path{milliseconds(50), 25e6}.run(window, now, seconds(3));
    EXPECT_GE(window.bytes(), 2.2e6);
    EXPECT_LE(window.bytes(), 2.6e6);
}

TEST_F(SendWindowTest, StaysSmallOnANearPath) {
    Path{std::chrono::microseconds(300), 200e6}.run(window, now, seconds(3));
    EXPECT_EQ(window.bytes(), kInitial);
}

TEST_F(SendWindowTest, StaysSmallOnASlowFarPath) {
    Path{milliseconds(100), 0.5e6}.run(window, now, seconds(10));
    EXPECT_EQ(window.bytes(), kInitial);
}

TEST_F(SendWindowTest, StaysSmallWhereTheUserIsTheBound) {
    Path{milliseconds(50), 25e6}.run(window, now, seconds(3), false);
    EXPECT_EQ(window.bytes(), kInitial);
}

TEST_F(SendWindowTest, EndsAtItsBound) {
    Path{milliseconds(200), 1e9}.run(window, now, seconds(10));
    EXPECT_EQ(window.bytes(), kMax);
}

TEST_F(SendWindowTest, AQueueOfItsOwnMakingIsNotTakenForDistance) {
    window.on_acknowledged(now, 1, milliseconds(2));
    // The same rate at ever longer round trips: what is in flight lies in a queue.
    for (int i = 0; i < 200; ++i) {
        now += milliseconds(20);
        window.on_limited();
        window.on_acknowledged(now, 20 * 25'000, milliseconds(20));
    }
    EXPECT_EQ(window.bytes(), kInitial);
    EXPECT_EQ(window.shortest_round_trip(), milliseconds(2));
}

TEST_F(SendWindowTest, ALongerPathIsBelievedInTime) {
    window.on_acknowledged(now, 1, milliseconds(2));
    Path{milliseconds(50), 25e6}.run(window, now, std::chrono::minutes(12));
    EXPECT_EQ(window.shortest_round_trip(), milliseconds(50));
    EXPECT_GE(window.bytes(), 2.2e6);
}

}  // namespace
}  // namespace kollator::rtc
