// What one association carries over distance and loss, in virtual time: a link of 160 Mbit/s with a
// queue of 50 ms.
#include <gtest/gtest.h>

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

TEST_P(OwnSctpFar, FillsTheLink) {
    SctpLink link;
    link.loss = GetParam().loss_per_mille;
    link.delay = milliseconds(GetParam().round_trip_ms) / 2;
    link.bytes_per_second = kLinkBytesPerSecond;
    link.queue_bytes = 1'000'000;
    SctpPair pair(3, link);
    pair.b.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    const Bytes body(64 * 1024, 1);
    const auto pump = [&] {
        while (pair.a.association->send({}, {}, body).ok()) continue;
    };
    pair.a.on_writable = pump;
    pump();
    pair.run_for(seconds(3));
    const std::uint64_t before = pair.b.bytes_received;
    pair.run_for(seconds(2));
    const double rate = static_cast<double>(pair.b.bytes_received - before) / 2;
    RecordProperty("megabits", std::to_string(rate * 8 / 1e6));
    EXPECT_GT(rate, GetParam().least_share * kLinkBytesPerSecond)
        << rate * 8 / 1e6 << " Mbit/s; sent again " << pair.a.stack->stats().retransmitted_bytes
        << " of " << pair.b.bytes_received;
}

}  // namespace
}  // namespace kollator::rtc
