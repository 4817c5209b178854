#include "rtc/sctp/tx/pacer.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kollator::rtc::sctp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kPacket = 1160;
constexpr std::size_t kWindow = 5'000'000;  // at 50 ms and a margin of 1, 100 MB a second

class PacerTest : public ::testing::Test {
 protected:
    std::size_t send_all() {
        std::size_t sent = 0;
        for (; sent < kWindow && pacer.may_send(now); sent += kPacket) pacer.on_sent(kPacket);
        return sent;
    }

    Pacer pacer;
    TimePoint now{seconds(100)};
};

TEST_F(PacerTest, LetsEverythingPassOnANearOrUnknownPath) {
    EXPECT_GE(send_all(), kWindow);
    pacer.set_rate(now, kWindow, milliseconds(1), 1);
    EXPECT_GE(send_all(), kWindow);
}

TEST_F(PacerTest, SendsAtTheRateInShortBursts) {
    pacer.set_rate(now, kWindow, milliseconds(50), 1);
    std::size_t sent = send_all();
    EXPECT_NEAR(static_cast<double>(sent), 100e6 * 0.001, kPacket);
    const TimePoint end = now + seconds(1);
    int wakes = 0;
    for (; now < end; ++wakes) {
        const TimePoint next = pacer.next_time();
        ASSERT_GT(next, now);
        now = next;
        const std::size_t burst = send_all();
        ASSERT_GT(burst, 0U);
        ASSERT_LT(burst, 60'000U);
        sent += burst;
    }
    EXPECT_NEAR(static_cast<double>(sent), 100e6, 1e6);
    EXPECT_LE(wakes, 2100);
}

TEST_F(PacerTest, ASlowPathGetsSixteenPacketsAtOnce) {
    pacer.set_rate(now, 10 * kPacket, milliseconds(100), 1);
    EXPECT_NEAR(static_cast<double>(send_all()), 16 * kPacket, kPacket);
}

TEST_F(PacerTest, WhoWaitedMakesUpForALateTimer) {
    pacer.set_rate(now, kWindow, milliseconds(50), 1);
    send_all();
    now += milliseconds(10);
    EXPECT_NEAR(static_cast<double>(send_all()), 100e6 * 0.010, 2 * kPacket);
    now += seconds(10);  // but not without a bound
    EXPECT_NEAR(static_cast<double>(send_all()), kWindow / 4.0, 2 * kPacket);
}

TEST_F(PacerTest, WhoHadNothingToSendSavesNothingUp) {
    pacer.set_rate(now, kWindow, milliseconds(50), 1);
    pacer.on_sent(kPacket);
    now += seconds(10);
    EXPECT_NEAR(static_cast<double>(send_all()), 100e6 * 0.001, kPacket);
}

TEST_F(PacerTest, AFasterRateHoldsAtOnce) {
    pacer.set_rate(now, 10 * kPacket, milliseconds(100), 1);
    send_all();
    pacer.set_rate(now, kWindow, milliseconds(50), 1);
    EXPECT_LE(pacer.next_time(), now + milliseconds(1));
}

}  // namespace
}  // namespace kollator::rtc::sctp
