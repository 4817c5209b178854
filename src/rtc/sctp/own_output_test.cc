// What an association sends in a turn, and what it keeps while the stack lets nothing out.
#include <gtest/gtest.h>

#include "rtc/testing/sctp_pair.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;
using testing::SctpLink;
using testing::SctpPair;

TEST(OwnSctpOutput, ATurnSendsSoMuchAndAsksForAnother) {
    SctpPair pair(1, SctpLink{});
    pair.b.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    const Bytes body(64 * 1024, 1);
    const auto pump = [&] {
        while (pair.a.association->send({}, {}, body).ok()) continue;
    };
    pair.a.on_writable = pump;
    pump();
    // So much that nothing but the turn bounds what goes at once (FlightCap).
    ASSERT_TRUE(pair.run_until([&] { return pair.b.bytes_received > 40'000'000; }));
    pair.a.on_writable = nullptr;
    ASSERT_TRUE(pair.run_until([&] { return pair.a.association->buffered_bytes() == 0; }));
    pump();
    const std::uint64_t before = pair.packets;
    pair.a.association->poll(pair.now);
    EXPECT_EQ(pair.packets - before, 64U);
    EXPECT_TRUE(pair.a.association->wants_poll());
    ASSERT_TRUE(pair.run_until([&] { return pair.a.association->buffered_bytes() == 0; }));
    EXPECT_FALSE(pair.a.association->wants_poll());
}

TEST(OwnSctpOutput, KeepsItsDataWhileTheStacksOutputIsOff) {
    SctpLink link;
    link.delay = std::chrono::milliseconds(10);
    SctpPair pair(1, link);
    ASSERT_TRUE(pair.connect());
    pair.a.stack->set_output(false);
    const Bytes message(50'000, 7);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(pair.a.association->send({}, {}, message).ok());
    ASSERT_TRUE(pair.b.association->send({}, {}, message).ok());
    pair.run_for(seconds(2));
    EXPECT_EQ(pair.b.bytes_received, 0U);
    EXPECT_EQ(pair.a.bytes_received, message.size());
    EXPECT_EQ(pair.b.association->buffered_bytes(), 0U) << "what comes is acknowledged";
    EXPECT_EQ(pair.a.stack->stats().retransmitted_bytes, 0U);

    const int asked = pair.a.times_pending;
    pair.a.stack->set_output(true);
    EXPECT_EQ(pair.a.times_pending, asked + 1);
    EXPECT_TRUE(pair.run_until([&] { return pair.b.bytes_received == 4 * message.size(); }));

    // One that goes meanwhile is not asked.
    pair.a.stack->set_output(false);
    ASSERT_TRUE(pair.a.association->send({}, {}, message).ok());
    pair.run_for(seconds(1));
    pair.a.association.reset();
    pair.a.stack->set_output(true);
}

}  // namespace
}  // namespace kollator::rtc
