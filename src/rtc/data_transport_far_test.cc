// What one connection carries over a path with delay, and what all of them may hold.
#include <gtest/gtest.h>

#include <chrono>

#include "rtc/testing/transport_pair.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::TransportPair;

constexpr std::size_t kMessageBytes = 64 * 1024;

/// Sends for as long as there is room, and again whenever there is.
void keep_sending(DataChannel& channel) {
    const Bytes body(kMessageBytes, 1);
    while (channel.send({}, body).ok()) continue;
}

/// How many bytes reach the server in `how_long` from now.
std::uint64_t bytes_in(TransportPair& pair, Duration how_long) {
    const std::uint64_t before = pair.server.bytes_received;
    const TimePoint end = pair.now + how_long;
    EXPECT_TRUE(pair.run_until([&] { return pair.now >= end; }, seconds(60)));
    return pair.server.bytes_received - before;
}

using DataTransportFar = testing::BothStacks;
KOLLATOR_BOTH_STACKS(DataTransportFar);

TEST_P(DataTransportFar, TheBufferGrowsUntilAFarPathIsFullAndItStaysFull) {
    TransportPair pair(GetParam());
    pair.impairment.delay = milliseconds(25);
    pair.client.options.max_send_buffer_bytes = 1024 * 1024;
    pair.server.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open({"far", "", true}));
    pair.client.on_writable = keep_sending;
    // Something small half a round trip ahead: there is never a moment without a packet on its way.
    ASSERT_TRUE(pair.client.channel().send({}, Bytes(4000, 1)).ok());
    (void)bytes_in(pair, milliseconds(30));
    keep_sending(pair.client.channel());

    // Steps of 10 ms make a round trip of 60; 256 KiB would be 4.4 MB a second. That it was full
    // for three seconds in a row means that no timer took a busy path for a dead one.
    (void)bytes_in(pair, seconds(2));
    for (int second = 0; second < 3; ++second) {
        EXPECT_GT(bytes_in(pair, seconds(1)), 10'000'000U) << second;
    }
    EXPECT_EQ(pair.stack->stats().retransmitted_bytes, 0U);
}

TEST_P(DataTransportFar, WhatIsLostIsCounted) {
    TransportPair pair(GetParam());
    pair.losses = true;
    pair.impairment.loss = 20;
    pair.server.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open({"lossy", "", true}));
    const Bytes body(kMessageBytes, 1);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(pair.client.channel().send({}, body).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.server.bytes_received == 4 * kMessageBytes; }));
    EXPECT_GT(pair.stack->stats().retransmitted_bytes, 0U);
}

TEST_P(DataTransportFar, BeyondTheBudgetEachConnectionHoldsOneMessage) {
    TransportPair pair(GetParam(), 1, {.send_budget_bytes = 200'000, .receive_budget_bytes = 0});
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open({"budget", "", true}));
    const Bytes body(kMessageBytes, 1);
    DataChannel& client = pair.client.channel();
    DataChannel& server = pair.server.channel();
    int taken = 0;
    while (client.send({}, body).ok()) ++taken;
    EXPECT_EQ(taken, 4);  // up to its own buffer's end, which is just over the budget
    EXPECT_TRUE(server.send({}, body).ok());
    const Status refused = server.send({}, body);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
    EXPECT_EQ(server.writable_bytes(), 0U);
    EXPECT_EQ(pair.stack->stats().buffered_bytes, 5 * kMessageBytes);

    // Both are told when there is room again, and nothing is left of the count.
    ASSERT_TRUE(pair.run_until([&] {
        return pair.client.times_writable == 1 && pair.server.times_writable == 1 &&
               pair.stack->stats().buffered_bytes == 0;
    }));
    EXPECT_TRUE(server.send({}, body).ok());
    EXPECT_TRUE(server.send({}, body).ok());
}

TEST_P(DataTransportFar, AConnectionThatGoesGivesItsShareBack) {
    TransportPair pair(GetParam(), 1, {.send_budget_bytes = 100'000, .receive_budget_bytes = 0});
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open({"budget", "", true}));
    ASSERT_TRUE(pair.client.channel().send({}, Bytes(200'000, 1)).ok());
    EXPECT_EQ(pair.stack->stats().buffered_bytes, 200'000U);
    pair.client.transport.reset();
    EXPECT_EQ(pair.stack->stats().buffered_bytes, 0U);
}

}  // namespace
}  // namespace kollator::rtc
