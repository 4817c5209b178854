// What waits to be sent, and small parts of sending.
#include <gtest/gtest.h>

#include <string>

#include "rtc/sctp/tx/cubic.h"
#include "rtc/sctp/tx/ring.h"
#include "rtc/sctp/tx/round_trip.h"
#include "rtc/sctp/tx/stream_queues.h"

namespace kollator::rtc::sctp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MessageRef message(std::uint16_t stream, std::uint32_t size) {
    MessageRef made(new OutMessage);
    made->stream = stream;
    made->size_bytes = size;
    made->block = make_message_block(Bytes(size), {});
    return made;
}

TEST(SctpRing, IsAQueueOverManyTurns) {
    Ring<int> ring;
    int next = 0;
    int front = 0;
    for (int round = 0; round < 1000; ++round) {
        for (int i = 0; i < round % 7; ++i) ring.push_back(next++);
        while (!ring.empty() && round % 3 == 0) {
            ASSERT_EQ(ring.front(), front++);
            ring.pop_front();
        }
        for (std::size_t i = 0; i < ring.size(); ++i) {
            ASSERT_EQ(ring[i], front + static_cast<int>(i));
        }
    }
}

TEST(StreamQueuesTest, StreamsTakeTurnsAMessageEach) {
    StreamQueues queues;
    for (int i = 0; i < 2; ++i) {
        for (const int stream : {7, 3, 5}) {
            queues.push(message(static_cast<std::uint16_t>(stream), 150));
        }
    }
    std::string turns;
    while (!queues.empty()) {
        const auto fragment = queues.cut(100);
        turns += std::to_string(fragment.message->stream) +
                 (fragment.offset + fragment.size_bytes == 150 ? "e " : "b ");
    }
    EXPECT_EQ(turns, "7b 7e 3b 3e 5b 5e 7b 7e 3b 3e 5b 5e ");
}

TEST(StreamQueuesTest, NumbersCountOrderedMessagesThatWereBegun) {
    StreamQueues queues;
    for (int i = 0; i < 4; ++i) queues.push(message(1, 10));
    queues.drop_next();  // never sent: leaves no gap
    EXPECT_EQ(queues.cut(10).message->ssn, 0);
    MessageRef unordered = message(1, 10);
    unordered->ordered = false;
    EXPECT_EQ(queues.cut(10).message->ssn, 1);
    EXPECT_TRUE(queues.has(1));
    EXPECT_EQ(queues.cut(10).message->ssn, 2);
    EXPECT_FALSE(queues.has(1));
    queues.reset_stream(1);
    queues.push(message(1, 10));
    EXPECT_EQ(queues.cut(10).message->ssn, 0);
}

TEST(RoundTripTest, TheTimeoutFollowsTheRoundTripWithinItsBounds) {
    RoundTrip trip;
    EXPECT_EQ(trip.timeout(), milliseconds(500));
    trip.sample(milliseconds(1));
    EXPECT_EQ(trip.timeout(), milliseconds(220));
    for (int i = 0; i < 100; ++i) trip.sample(milliseconds(400));
    EXPECT_GT(trip.timeout(), milliseconds(395));
    EXPECT_LT(trip.timeout(), milliseconds(500));
    EXPECT_EQ(trip.shortest(), milliseconds(1));
    const Duration before = trip.timeout();
    trip.back_off();
    EXPECT_EQ(trip.timeout(), 2 * before);
    for (int i = 0; i < 50; ++i) trip.back_off();
    EXPECT_EQ(trip.timeout(), seconds(10));
    trip.relax();
    EXPECT_EQ(trip.timeout(), before);
}

class CubicTest : public ::testing::Test {
 protected:
    static constexpr std::size_t kPacket = 1000;

    /// A round trip of `time` in which the whole window comes back, with `lost` packets missing.
    void round(Cubic& cubic, Duration time, std::size_t lost = 0) {
        now += std::chrono::duration_cast<TimePoint::duration>(time);
        const std::size_t packets = cubic.window_bytes() / kPacket;
        const std::uint64_t end = order + packets;
        for (std::size_t i = lost; i < packets; ++i) {
            ++order;
            cubic.on_acknowledged({now, kPacket, order, order + packets, true, time, shortest});
        }
        if (lost > 0) cubic.on_lost({now, lost * kPacket, end, end + packets});
        order = end;
    }

    TimePoint now{std::chrono::hours(1)};
    std::uint64_t order = 0;
    Duration shortest = milliseconds(50);
};

TEST_F(CubicTest, BeginsWithTenPacketsAndDoubles) {
    Cubic cubic(kPacket, LossTolerance::kRandom);
    EXPECT_EQ(cubic.window_bytes(), 10 * kPacket);
    round(cubic, milliseconds(50));
    EXPECT_EQ(cubic.window_bytes(), 20 * kPacket);
}

TEST_F(CubicTest, ALossMeansCongestionWithoutTolerance) {
    Cubic cubic(kPacket, LossTolerance::kNone);
    for (int i = 0; i < 4; ++i) round(cubic, milliseconds(50));
    const std::size_t before = cubic.window_bytes();
    cubic.on_lost({now, kPacket, order, order + 1});
    EXPECT_EQ(cubic.window_bytes(), before * 7 / 10);
    EXPECT_FALSE(cubic.in_slow_start());
    cubic.on_lost({now, kPacket, order, order + 1});  // of the same event
    EXPECT_EQ(cubic.window_bytes(), before * 7 / 10);
}

TEST_F(CubicTest, AFewLossesWithoutAQueueAreTolerated) {
    Cubic cubic(kPacket, LossTolerance::kRandom);
    for (int i = 0; i < 6; ++i) round(cubic, milliseconds(50), 1);
    EXPECT_GT(cubic.window_bytes(), 400 * kPacket);
}

TEST_F(CubicTest, LossesWithAQueueOrManyOfThemAreNot) {
    Cubic queued(kPacket, LossTolerance::kRandom);
    for (int i = 0; i < 3; ++i) round(queued, milliseconds(50));
    round(queued, milliseconds(80));
    const std::size_t before = queued.window_bytes();
    round(queued, milliseconds(80), 1);
    EXPECT_LT(queued.window_bytes(), before);

    Cubic many(kPacket, LossTolerance::kRandom);
    for (int i = 0; i < 4; ++i) round(many, milliseconds(50));
    round(many, milliseconds(50), many.window_bytes() / kPacket / 5);
    EXPECT_FALSE(many.in_slow_start());
}

TEST_F(CubicTest, AGrowingRoundTripEndsTheSlowStart) {
    Cubic cubic(kPacket, LossTolerance::kRandom);
    Duration time = milliseconds(50);
    for (int i = 0; i < 12; ++i, time += milliseconds(20)) round(cubic, time);
    EXPECT_FALSE(cubic.in_slow_start());
}

TEST_F(CubicTest, ATimeoutBeginsWithOnePacket) {
    Cubic cubic(kPacket, LossTolerance::kRandom);
    for (int i = 0; i < 4; ++i) round(cubic, milliseconds(50));
    cubic.on_timeout(now);
    EXPECT_EQ(cubic.window_bytes(), kPacket);
    EXPECT_TRUE(cubic.in_slow_start());
}

}  // namespace
}  // namespace kollator::rtc::sctp
