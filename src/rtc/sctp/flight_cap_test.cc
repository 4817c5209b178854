#include "rtc/sctp/flight_cap.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;

constexpr Duration kNear = milliseconds(1);

void acknowledge(FlightCap& cap, std::size_t bytes, Duration round_trip = kNear) {
    for (; bytes >= 10'000; bytes -= 10'000) cap.on_acknowledged(10'000, round_trip);
}

TEST(FlightCap, IsLiftedForAPeerThatTakesEverything) {
    FlightCap cap;
    EXPECT_EQ(cap.bytes(), 65536U);
    acknowledge(cap, 12'000'000);
    EXPECT_GT(cap.bytes(), 256U * 1024);
    acknowledge(cap, 20'000'000);
    EXPECT_EQ(cap.bytes(), 0U);
}

TEST(FlightCap, StaysUnderWhatWasLost) {
    FlightCap cap;
    acknowledge(cap, 8'000'000);
    const std::size_t before = cap.bytes();
    cap.on_loss(100'000);
    EXPECT_LE(cap.bytes(), 75'000U);
    EXPECT_LT(cap.bytes(), before);
    const std::size_t after = cap.bytes();
    acknowledge(cap, 4'000'000);
    EXPECT_EQ(cap.bytes(), after);
    acknowledge(cap, 2'000'000);
    EXPECT_GT(cap.bytes(), after);
}

TEST(FlightCap, ManyLossesOfOneWindowAreOne) {
    FlightCap cap;
    cap.on_loss(60'000);
    const std::size_t once = cap.bytes();
    for (int i = 0; i < 50; ++i) cap.on_loss(50'000);
    EXPECT_EQ(cap.bytes(), once);
}

TEST(FlightCap, HasALeast) {
    FlightCap cap;
    for (int i = 0; i < 50; ++i) {
        cap.on_loss(1000);
        acknowledge(cap, 1'000'000);
    }
    EXPECT_EQ(cap.bytes(), 40U * 1024);
}

TEST(FlightCap, DoesNotConcernFarPaths) {
    FlightCap cap;
    cap.on_acknowledged(1000, milliseconds(3));
    EXPECT_EQ(cap.bytes(), 0U);
    cap.on_loss(1000);
    EXPECT_EQ(cap.bytes(), 0U);
}

TEST(FlightCap, APathThatTurnsOutNearIsBoundedFromThenOn) {
    FlightCap cap;
    cap.on_acknowledged(1000, milliseconds(20));
    EXPECT_EQ(cap.bytes(), 0U);
    cap.on_acknowledged(1000, kNear);
    EXPECT_EQ(cap.bytes(), 65536U);
}

}  // namespace
}  // namespace kollator::rtc
