// What one association carries over distance and loss, in virtual time: a link of 160 Mbit/s with a
// queue of 50 ms, and links with hardly a queue.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "rtc/testing/scripted_sctp_peer.h"
#include "rtc/testing/sctp_pair.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SctpLink;
using testing::SctpPair;

constexpr double kLinkBytesPerSecond = 20e6;

struct Path {
    int round_trip_ms;
    std::uint32_t loss_per_mille;
    double least_share;  ///< of the link, from the third to the fifth second
};

class OwnSctpFar : public ::testing::TestWithParam<Path> {};

INSTANTIATE_TEST_SUITE_P(Paths, OwnSctpFar,
                         ::testing::Values(Path{50, 0, 0.85}, Path{50, 1, 0.6}, Path{50, 10, 0.5},
                                           Path{100, 10, 0.35}),
                         [](const auto& each) {
                             return std::to_string(each.param.round_trip_ms) + "msLoss" +
                                    std::to_string(each.param.loss_per_mille);
                         });

struct Carried {
    double bytes_per_second = 0;
    double sent_again = 0;  ///< of what arrived
};

void pump(SctpPair& pair) {
    static const Bytes body(64 * 1024 + 14, 1);  // a fragment and its head
    while (pair.a.association->send({}, {}, body).ok()) continue;
}

/// From the third second to the fifth.
Carried carry(SctpPair& pair) {
    pair.b.keep_messages = false;
    EXPECT_TRUE(pair.connect());
    pair.a.on_writable = [&pair] { pump(pair); };
    pump(pair);
    pair.run_for(seconds(3));
    const std::uint64_t before = pair.b.bytes_received;
    const std::uint64_t again_before = pair.a.stack->stats().retransmitted_bytes;
    pair.run_for(seconds(2));
    const auto bytes = static_cast<double>(pair.b.bytes_received - before);
    const auto again =
        static_cast<double>(pair.a.stack->stats().retransmitted_bytes - again_before);
    ::testing::Test::RecordProperty("megabits", std::to_string(bytes / 2 * 8 / 1e6));
    ::testing::Test::RecordProperty("percent_again", std::to_string(again / bytes * 100));
    return {bytes / 2, again / bytes};
}

Carried carry(const SctpLink& link) {
    SctpPair pair(3, link);
    return carry(pair);
}

TEST_P(OwnSctpFar, FillsTheLink) {
    SctpLink link;
    link.loss = GetParam().loss_per_mille;
    link.delay = milliseconds(GetParam().round_trip_ms) / 2;
    link.bytes_per_second = kLinkBytesPerSecond;
    link.queue_bytes = 1'000'000;
    const Carried carried = carry(link);
    EXPECT_GT(carried.bytes_per_second, GetParam().least_share * kLinkBytesPerSecond)
        << carried.sent_again * 100 << " % sent again";
}

/// A client connects, and asks when somebody clicked.
TEST(OwnSctpIdle, BeginsAsFastAfterwards) {
    SctpLink link;
    link.delay = milliseconds(25);
    link.bytes_per_second = kLinkBytesPerSecond;
    link.queue_bytes = 1'000'000;
    SctpPair pair(3, link);
    pair.b.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    pair.a.on_writable = [&pair] { pump(pair); };
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(100)).ok());
    pair.run_for(seconds(3));
    pump(pair);
    pair.run_for(seconds(1));
    EXPECT_GT(static_cast<double>(pair.b.bytes_received), kLinkBytesPerSecond / 2);
}

TEST(OwnSctpBuffer, IsFilledAsItEmpties) {
    constexpr std::size_t kBufferBytes = 1024 * 1024;
    SctpLink link;
    link.delay = milliseconds(25);
    SctpPair pair(3, link);
    pair.b.keep_messages = false;
    pair.a.options.max_send_buffer_bytes = kBufferBytes;
    ASSERT_TRUE(pair.connect());
    pair.a.on_writable = [&pair] { pump(pair); };
    pump(pair);
    pair.run_for(seconds(2));
    const std::uint64_t before = pair.b.bytes_received;
    pair.run_for(seconds(2));
    // A buffer's content in a round trip is what there can be.
    EXPECT_GT(static_cast<double>(pair.b.bytes_received - before), 0.75 * kBufferBytes * 2 / 0.05);
}

/// A busy worker's: pacing comes late each time, and must not be taken for having nothing to send.
TEST(OwnSctpBusyLoop, TheWindowGrowsAllTheSame) {
    SctpLink link;
    link.delay = milliseconds(2);
    SctpPair pair(3, link);
    pair.turn = milliseconds(10);
    const Carried carried = carry(pair);
    // The least buffer each second turn.
    EXPECT_GT(carried.bytes_per_second, 256 * 1024 / 0.02);
}

/// Others that are connected and idle take nothing of what an uploader's window may be.
TEST(OwnSctpReceiveWindow, AnUploaderFillsTheLinkBesideAThousandIdleConnections) {
    SctpLink link;
    link.delay = milliseconds(25);
    link.bytes_per_second = kLinkBytesPerSecond;
    link.queue_bytes = 1'000'000;
    SctpPair pair(3, link);
    std::vector<std::unique_ptr<testing::ScriptedSctpPeer>> idle;
    for (int i = 0; i < 1000; ++i) {
        idle.push_back(std::make_unique<testing::ScriptedSctpPeer>());
        idle.back()->connect_to(*pair.b.stack);
    }
    EXPECT_GT(carry(pair).bytes_per_second, 0.85 * kLinkBytesPerSecond);
}

struct Shallow {
    int round_trip_ms;
    int megabits;
    std::size_t queue_bytes;
    double least_share;
};

class OwnSctpShallow : public ::testing::TestWithParam<Shallow> {};

INSTANTIATE_TEST_SUITE_P(Paths, OwnSctpShallow,
                         ::testing::Values(Shallow{50, 100, 50'000, 0.7},
                                           Shallow{20, 50, 20'000, 0.7},
                                           Shallow{10, 200, 30'000, 0.7}),
                         [](const auto& each) {
                             return std::to_string(each.param.round_trip_ms) + "ms" +
                                    std::to_string(each.param.megabits) + "Megabits";
                         });

/// Without pacing, and with SACKs that list 64 gaps, half of these links carried what was sent
/// again or nothing.
TEST_P(OwnSctpShallow, LosesLittleByItsOwnDoing) {
    SctpLink link;
    link.delay = milliseconds(GetParam().round_trip_ms) / 2;
    link.bytes_per_second = GetParam().megabits * 1e6 / 8;
    link.queue_bytes = GetParam().queue_bytes;
    const Carried carried = carry(link);
    EXPECT_GT(carried.bytes_per_second, GetParam().least_share * link.bytes_per_second);
    EXPECT_LT(carried.sent_again, 0.03);
}

}  // namespace
}  // namespace kollator::rtc
