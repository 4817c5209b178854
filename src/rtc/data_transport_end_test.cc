#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <string>

#include "base/random.h"
#include "rtc/data_transport.h"
#include "rtc/testing/transport_pair.h"

// How channels and transports end, and what comes after.

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::TransportEnd;
using testing::TransportPair;

ChannelOptions channel_options(const std::string& label = "kollator") {
    ChannelOptions options;
    options.label = label;
    return options;
}

class DataTransportEndTest : public testing::BothStacks {
 protected:
    void open_pair() {
        ASSERT_TRUE(pair.connect());
        ASSERT_TRUE(pair.open(channel_options()));
    }

    TransportPair pair{GetParam()};
    TransportEnd& client = pair.client;
    TransportEnd& server = pair.server;
};

KOLLATOR_BOTH_STACKS(DataTransportEndTest);

TEST_P(DataTransportEndTest, ClosingAChannelSendsWhatWasQueuedAndClosesBothEnds) {
    open_pair();
    const Bytes body(200'000, 7);
    ASSERT_TRUE(client.channel().send({}, body).ok());
    DataChannel& channel = client.channel();
    channel.close();
    EXPECT_EQ(channel.send({}, body).error().code, ErrorCode::kCancelled);
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 1 && server.closed_streams.size() == 1; }));
    ASSERT_EQ(server.messages.size(), 1U);
    EXPECT_EQ(server.messages[0].bytes, body);
    EXPECT_EQ(client.transport->channel_count(), 0U);
    EXPECT_EQ(server.transport->channel_count(), 0U);
    EXPECT_EQ(client.transport->state(), DataTransport::State::kConnected);
}

TEST_P(DataTransportEndTest, TheAcceptingEndMayCloseAChannelToo) {
    open_pair();
    server.channel().close();
    server.channel().close();  // once more does nothing
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 1 && server.closed_streams.size() == 1; }));
}

TEST_P(DataTransportEndTest, BothEndsMayCloseAtOnce) {
    open_pair();
    server.channel().close();
    client.channel().close();
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 1 && server.closed_streams.size() == 1; }));
}

TEST_P(DataTransportEndTest, AStreamIsUsedAgainAndAgain) {
    ASSERT_TRUE(pair.connect());
    std::set<std::uint16_t> streams;
    for (int round = 0; round < 30; ++round) {
        const std::string label = "round " + std::to_string(round);
        ASSERT_TRUE(pair.open(channel_options(label))) << round;
        streams.insert(client.channel().stream_id());
        ASSERT_TRUE(client.channel().send({}, as_bytes(label)).ok());
        const std::size_t expected = static_cast<std::size_t>(round) + 1;
        ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == expected; })) << round;
        EXPECT_EQ(as_text(server.messages.back().bytes), label);
        (round % 2 == 0 ? client : server).channel().close();
        ASSERT_TRUE(pair.run_until([&] {
            return client.closed_streams.size() == expected &&
                   server.closed_streams.size() == expected;
        })) << round;
        pair.run_until([] { return false; }, milliseconds(50));
    }
    EXPECT_LE(streams.size(), 2U);
    EXPECT_EQ(server.labels.back(), "round 29");
}

TEST_P(DataTransportEndTest, ManyChannelsCloseAtOnceOverALossyLink) {
    ASSERT_TRUE(pair.connect());
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(pair.open(channel_options(std::to_string(i))));
    pair.impairment.loss = 100;
    for (DataChannel* channel : client.channels) channel->close();
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 16 && server.closed_streams.size() == 16; },
        seconds(120)))
        << client.closed_streams.size() << " " << server.closed_streams.size();
}

TEST_P(DataTransportEndTest, ARefusedChannelIsResetAndNobodyIsToldOfItsEnd) {
    ASSERT_TRUE(pair.connect());
    server.refuse_channels = true;
    ASSERT_TRUE(client.transport->open_channel(channel_options("unwanted")).ok());
    ASSERT_TRUE(pair.run_until([&] { return client.closed_streams.size() == 1; }));
    EXPECT_TRUE(server.closed_streams.empty());
    server.refuse_channels = false;
    ASSERT_TRUE(pair.open(channel_options("wanted")));
}

TEST_P(DataTransportEndTest, ChannelsAreBounded) {
    ASSERT_TRUE(pair.connect());
    std::size_t opened = 0;
    Result<std::uint16_t> result = std::uint16_t{0};
    while ((result = client.transport->open_channel(channel_options())).ok()) {
        ASSERT_LT(++opened, 1000U);
    }
    EXPECT_EQ(result.error().code, ErrorCode::kLimit);
    EXPECT_EQ(opened, 128U);  // the even ones of 256
    ASSERT_TRUE(pair.run_until([&] { return server.channels.size() == opened; }));
}

TEST_P(DataTransportEndTest, OverlongNamesAreRefused) {
    ASSERT_TRUE(pair.connect());
    ChannelOptions options = channel_options(std::string(1025, 'x'));
    EXPECT_EQ(client.transport->open_channel(options).error().code, ErrorCode::kInvalid);
    options = channel_options(std::string(1024, 'x'));
    EXPECT_TRUE(pair.open(options));
}

TEST_P(DataTransportEndTest, ClosingTheTransportClosesTheOtherEndAndItsChannels) {
    open_pair();
    client.transport->close("enough");
    EXPECT_EQ(client.times_closed, 0);  // only from poll()
    EXPECT_TRUE(client.transport->wants_poll());
    ASSERT_TRUE(
        pair.run_until([&] { return client.times_closed == 1 && server.times_closed == 1; }));
    EXPECT_EQ(client.close_reason, "enough");
    EXPECT_EQ(server.close_reason, "peer closed");
    EXPECT_EQ(client.closed_streams.size(), 1U);
    EXPECT_EQ(server.closed_streams.size(), 1U);
    EXPECT_EQ(client.transport->open_channel(channel_options()).error().code,
              ErrorCode::kCancelled);
    client.transport->close("again");
    pair.run_until([] { return false; }, seconds(1));
    EXPECT_EQ(client.times_closed, 1);
    EXPECT_EQ(server.times_closed, 1);
}

TEST_P(DataTransportEndTest, ATransportMayBeClosedFromWithinACallback) {
    open_pair();
    server.on_message = [&](DataChannel& channel, ByteSpan) {
        EXPECT_TRUE(channel.send({}, as_bytes("last")).ok());
        server.transport->close("seen enough");
        EXPECT_FALSE(channel.send({}, as_bytes("too late")).ok());
        EXPECT_EQ(server.times_closed, 0);
    };
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.channel().send({}, as_bytes("go")).ok());
    ASSERT_TRUE(
        pair.run_until([&] { return server.times_closed == 1 && client.times_closed == 1; }));
    EXPECT_EQ(server.messages_received, 1U);
}

TEST_P(DataTransportEndTest, AFloodAfterTheCloseDoesNoHarm) {
    open_pair();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.channel().send({}, Bytes(60'000, 1)).ok());
    client.transport->poll(pair.now);
    const std::deque<Bytes> flood = client.outbox;
    ASSERT_FALSE(flood.empty());
    client.outbox.clear();
    server.transport->close("done");
    pair.poll();
    server.outbox.clear();
    for (int round = 0; round < 20; ++round) {
        for (const Bytes& datagram : flood) server.transport->handle_datagram(datagram, pair.now);
        pair.poll();
    }
    EXPECT_TRUE(server.outbox.empty());
    EXPECT_EQ(server.times_closed, 1);
    EXPECT_TRUE(server.messages.empty());
}

TEST_P(DataTransportEndTest, ADestroyedTransportLeavesNothingThatTouchesIt) {
    open_pair();
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(client.channel().send({}, Bytes(60'000, 1)).ok());
        ASSERT_TRUE(server.channel().send({}, Bytes(60'000, 1)).ok());
    }
    pair.settle_once();
    client.transport.reset();
    client.channels.clear();
    // Late timers and packets of the remains run into nothing.
    pair.run_until([] { return false; }, seconds(30));
    server.transport.reset();
    pair.run_until([] { return false; }, seconds(30));
}

TEST_P(DataTransportEndTest, ATransportMayGoAtAnyMomentOfItsLife) {
    for (int steps = 0; steps < 12; ++steps) {
        pair.start();
        for (int i = 0; i < steps; ++i) pair.settle_once();
        static_cast<void>(client.transport->open_channel(channel_options()));
        pair.settle_once();
        server.transport.reset();
        client.transport.reset();
        client.channels.clear();
        server.channels.clear();
        client.connected = server.connected = false;
        pair.step();
    }
}

TEST_P(DataTransportEndTest, AWrongFingerprintEndsBeforeAnyChannel) {
    (*client.options.remote_fingerprint)[3] ^= 1;
    pair.start();
    ASSERT_TRUE(client.transport->open_channel(channel_options()).ok());
    ASSERT_TRUE(
        pair.run_until([&] { return client.times_closed == 1 && server.times_closed == 1; }));
    EXPECT_EQ(client.close_reason, "dtls failed: certificate does not match the fingerprint");
    EXPECT_FALSE(client.connected);
    EXPECT_FALSE(server.connected);
}

TEST_P(DataTransportEndTest, ASilentPeerEndsWithTheConnectTimeout) {
    client.options.connect_timeout = server.options.connect_timeout = seconds(5);
    pair.impairment.loss = 1000;
    pair.start();
    ASSERT_TRUE(pair.run_until([&] { return client.times_closed == 1 && server.times_closed == 1; },
                               seconds(10)));
    EXPECT_EQ(client.close_reason, "connect timed out");
    EXPECT_EQ(server.close_reason, "connect timed out");
}

TEST_P(DataTransportEndTest, APeerThatVanishesUnderLoadEndsWithATimeout) {
    open_pair();
    ASSERT_TRUE(client.channel().send({}, Bytes(10'000, 1)).ok());
    server.transport.reset();
    server.channels.clear();
    ASSERT_TRUE(pair.run_until([&] { return client.times_closed == 1; }, seconds(600)));
    EXPECT_EQ(client.close_reason, "sctp timed out");
}

TEST_P(DataTransportEndTest, GarbageIsIgnoredAtEveryState) {
    SeededRandom random(7);
    const auto garbage = [&] {
        for (TransportEnd* end : {&client, &server}) {
            for (std::size_t size = 1; size < 200; size += 13) {
                Bytes bytes(size);
                random.fill(bytes);
                bytes[0] = static_cast<std::uint8_t>(20 + bytes[0] % 44);
                end->transport->handle_datagram(bytes, pair.now);
            }
        }
    };
    pair.start();
    garbage();
    ASSERT_TRUE(pair.run_until([&] { return client.connected && server.connected; }))
        << client.close_reason << server.close_reason;
    garbage();
    ASSERT_TRUE(pair.open(channel_options()));
    garbage();
    EXPECT_EQ(client.times_closed, 0);
}

TEST(UsrsctpStackTest, TicksFastWhileSomethingIsInFlightAndSlowlyWhenIdle) {
    TransportPair pair(SctpImplementation::kUsrsctp);
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open(channel_options()));
    pair.run_until([] { return false; }, seconds(2));
    pair.stack->handle_timers(pair.now);
    EXPECT_EQ(pair.stack->next_timeout(pair.now) - pair.now, milliseconds(50));
    ASSERT_TRUE(pair.client.channel().send({}, as_bytes("x")).ok());
    EXPECT_EQ(pair.stack->next_timeout(pair.now) - pair.now, milliseconds(10));
}

using SctpStackTest = testing::BothStacks;
KOLLATOR_BOTH_STACKS(SctpStackTest);

TEST_P(SctpStackTest, SeveralStacksMayFollowEachOther) {
    for (int i = 0; i < 3; ++i) {
        TransportPair pair(GetParam());
        ASSERT_TRUE(pair.connect()) << i;
    }
}

}  // namespace
}  // namespace kollator::rtc
