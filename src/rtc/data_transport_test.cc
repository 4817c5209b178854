#include "rtc/data_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "rtc/testing/transport_pair.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::TransportEnd;
using testing::TransportPair;

constexpr std::size_t kMaxMessageBytes = 262144;

ChannelOptions channel_options(const std::string& label = "kollator", bool ordered = true) {
    ChannelOptions options;
    options.label = label;
    options.protocol = "kollator.v1";
    options.ordered = ordered;
    return options;
}

/// Bytes that say which message they are, so that mixed-up ones are seen.
Bytes pattern(std::uint32_t number, std::size_t size) {
    Bytes bytes(size);
    SeededRandom random(number);
    random.fill(bytes);
    return bytes;
}

class DataTransportTest : public ::testing::Test {
 protected:
    void open_pair(const ChannelOptions& options = channel_options()) {
        ASSERT_TRUE(pair.connect());
        ASSERT_TRUE(pair.open(options));
    }

    TransportPair pair;
    TransportEnd& client = pair.client;
    TransportEnd& server = pair.server;
};

TEST_F(DataTransportTest, ConnectsAndOpensAChannelWithItsNames) {
    open_pair();
    EXPECT_EQ(server.channel().label(), "kollator");
    EXPECT_EQ(server.channel().protocol(), "kollator.v1");
    EXPECT_TRUE(server.channel().ordered());
    EXPECT_EQ(client.channel().label(), "kollator");
    EXPECT_EQ(client.transport->state(), DataTransport::State::kConnected);
    EXPECT_EQ(server.transport->state(), DataTransport::State::kConnected);
    EXPECT_EQ(server.transport->channel_count(), 1U);
}

TEST_F(DataTransportTest, TheDtlsClientOpensEvenStreamsAndTheServerOddOnes) {
    open_pair();
    EXPECT_EQ(client.channel().stream_id() % 2, 0);
    ASSERT_TRUE(server.transport->open_channel(channel_options("back")).ok());
    ASSERT_TRUE(pair.run_until([&] { return client.channels.size() == 2; }));
    EXPECT_EQ(client.channel(1).stream_id() % 2, 1);
    EXPECT_EQ(client.channel(1).label(), "back");
}

TEST_F(DataTransportTest, AChannelMayBeOpenedBeforeTheTransportIsConnected) {
    pair.start();
    ASSERT_TRUE(client.transport->open_channel(channel_options("early")).ok());
    ASSERT_TRUE(
        pair.run_until([&] { return !server.channels.empty() && !client.channels.empty(); }));
    EXPECT_EQ(server.channel().label(), "early");
}

TEST_F(DataTransportTest, HeadAndBodyArriveAsOneBinaryMessage) {
    open_pair();
    ASSERT_TRUE(client.channel().send(as_bytes("head"), as_bytes("body")).ok());
    ASSERT_TRUE(client.channel().send(as_bytes("head only"), {}).ok());
    ASSERT_TRUE(client.channel().send({}, as_bytes("body only")).ok());
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == 3; }));
    EXPECT_EQ(as_text(server.messages[0].bytes), "headbody");
    EXPECT_EQ(as_text(server.messages[1].bytes), "head only");
    EXPECT_EQ(as_text(server.messages[2].bytes), "body only");
    EXPECT_TRUE(server.messages[0].binary);
}

TEST_F(DataTransportTest, EmptyMessagesArriveEmpty) {
    open_pair();
    ASSERT_TRUE(client.channel().send({}, {}).ok());
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == 1; }));
    EXPECT_TRUE(server.messages[0].bytes.empty());
    EXPECT_TRUE(server.messages[0].binary);
}

/// Sends `sizes` both ways, minding kLimit, and checks what arrives.
void exchange(TransportPair& pair, const std::vector<std::size_t>& sizes, bool ordered) {
    struct Side {
        TransportEnd& from;
        TransportEnd& to;
        std::size_t next = 0;
    };
    std::vector<Side> sides = {{pair.client, pair.server}, {pair.server, pair.client}};
    const auto pump = [&](Side& side) {
        while (side.next < sizes.size()) {
            const Bytes body = pattern(static_cast<std::uint32_t>(side.next), sizes[side.next]);
            const Status sent = side.from.channel().send({}, body);
            if (!sent.ok()) {
                ASSERT_EQ(sent.error().code, ErrorCode::kLimit) << sent.error().detail;
                return;
            }
            ++side.next;
        }
    };
    for (Side& side : sides) {
        side.from.on_writable = [&](DataChannel&) { pump(side); };
        pump(side);
    }
    ASSERT_TRUE(pair.run_until(
        [&] {
            return pair.client.messages.size() == sizes.size() &&
                   pair.server.messages.size() == sizes.size();
        },
        seconds(600)))
        << pair.client.messages.size() << " and " << pair.server.messages.size() << " of "
        << sizes.size();
    for (const Side& side : sides) {
        std::multiset<Bytes> expected;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            const Bytes bytes = pattern(static_cast<std::uint32_t>(i), sizes[i]);
            if (ordered) {
                ASSERT_EQ(side.to.messages[i].bytes, bytes) << "message " << i;
            } else {
                expected.insert(bytes);
            }
        }
        if (ordered) continue;
        for (const auto& message : side.to.messages) {
            const auto found = expected.find(message.bytes);
            ASSERT_NE(found, expected.end());
            expected.erase(found);
        }
    }
    pair.client.on_writable = nullptr;
    pair.server.on_writable = nullptr;
}

std::vector<std::size_t> many_sizes(std::uint64_t seed) {
    std::vector<std::size_t> sizes = {1,     2,     1131,  1132,   1133,   1160,   1200,
                                      16384, 65535, 65536, 131071, 131072, 262143, 262144};
    SeededRandom random(seed);
    for (int i = 0; i < 40; ++i) sizes.push_back(1 + random.u32() % kMaxMessageBytes);
    for (int i = 0; i < 200; ++i) sizes.push_back(1 + random.u32() % 3000);
    return sizes;
}

TEST_F(DataTransportTest, MessagesOfEverySizeArriveBothWaysInOrder) {
    open_pair();
    exchange(pair, many_sizes(1), true);
}

TEST_F(DataTransportTest, MessagesOfEverySizeArriveBothWaysUnordered) {
    open_pair(channel_options("kollator", false));
    EXPECT_FALSE(server.channel().ordered());
    exchange(pair, many_sizes(2), false);
}

TEST_F(DataTransportTest, NothingIsLostOnALinkThatLosesDoublesAndReorders) {
    for (const bool ordered : {true, false}) {
        for (const std::uint64_t seed : {11, 12}) {
            SCOPED_TRACE(::testing::Message() << "seed " << seed << " ordered " << ordered);
            pair.~TransportPair();
            new (&pair) TransportPair(seed);
            open_pair(channel_options("kollator", ordered));
            pair.impairment.loss = 20;
            pair.impairment.duplication = 10;
            pair.impairment.reordering = 30;
            pair.impairment.delay = milliseconds(20);
            exchange(pair, many_sizes(seed), ordered);
        }
    }
}

TEST_F(DataTransportTest, TheSendBufferIsEmptyAgainOnceAllIsAcknowledged) {
    open_pair();
    const std::size_t room = client.channel().writable_bytes();
    EXPECT_GE(room, kMaxMessageBytes);
    ASSERT_TRUE(client.channel().send({}, Bytes(100'000, 1)).ok());
    EXPECT_EQ(client.channel().buffered_bytes(), 100'000U);
    EXPECT_EQ(client.channel().writable_bytes(), room - 100'000);
    ASSERT_TRUE(pair.run_until([&] { return client.channel().buffered_bytes() == 0; }));
    EXPECT_EQ(client.channel().writable_bytes(), room);
    EXPECT_EQ(client.times_writable, 0);  // nobody had asked
}

TEST_F(DataTransportTest, AFullSendBufferRefusesAndTellsWhenThereIsRoom) {
    open_pair();
    const Bytes body(64 * 1024, 5);
    int sent = 0;
    Status status;
    while ((status = client.channel().send({}, body)).ok()) ASSERT_LT(++sent, 1000);
    EXPECT_EQ(status.error().code, ErrorCode::kLimit);
    EXPECT_EQ(sent, 4);  // 256 KiB
    EXPECT_EQ(client.times_writable, 0);
    std::size_t room = 0;
    client.on_writable = [&](DataChannel& channel) { room = channel.writable_bytes(); };
    ASSERT_TRUE(pair.run_until([&] { return client.times_writable == 1; }));
    EXPECT_GE(room, 128U * 1024);
    ASSERT_TRUE(client.channel().send({}, body).ok());
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == 5; }));
    EXPECT_EQ(client.times_writable, 1);
}

TEST_F(DataTransportTest, AFullBufferOfTinyMessagesRefusesToo) {
    open_pair();
    pair.impairment.loss = 1000;  // nothing leaves
    std::size_t sent = 0;
    Status status;
    while ((status = client.channel().send({}, as_bytes("x"))).ok()) ASSERT_LT(++sent, 100'000U);
    EXPECT_EQ(status.error().code, ErrorCode::kLimit);
    EXPECT_LE(sent, 5000U);
    pair.impairment.loss = 0;
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == sent; }, seconds(600)));
    EXPECT_GE(client.times_writable, 1);
}

TEST_F(DataTransportTest, EveryChannelThatWasRefusedIsToldOfTheRoom) {
    open_pair();
    ASSERT_TRUE(pair.open(channel_options("second")));
    const Bytes body(200 * 1024, 5);
    ASSERT_TRUE(client.channel(0).send({}, body).ok());
    EXPECT_EQ(client.channel(0).send({}, body).error().code, ErrorCode::kLimit);
    EXPECT_EQ(client.channel(1).send({}, body).error().code, ErrorCode::kLimit);
    std::set<std::uint16_t> told;
    client.on_writable = [&](DataChannel& channel) { told.insert(channel.stream_id()); };
    ASSERT_TRUE(pair.run_until([&] { return told.size() == 2; }));
}

TEST_F(DataTransportTest, MessagesOverThePeersLimitAreRefused) {
    client.options.remote_max_message_bytes = 1000;
    open_pair();
    EXPECT_EQ(client.channel().max_message_bytes(), 1000U);
    EXPECT_TRUE(client.channel().send({}, Bytes(1000)).ok());
    const Status status = client.channel().send(Bytes(1), Bytes(1000));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
}

TEST_F(DataTransportTest, APeerWithoutALimitGetsOurLargest) {
    client.options.remote_max_message_bytes = 0;
    open_pair();
    EXPECT_EQ(client.channel().max_message_bytes(), kMaxMessageBytes);
}

TEST_F(DataTransportTest, SixteenChannelsCarryTheirOwnMessages) {
    ASSERT_TRUE(pair.connect());
    for (int i = 0; i < 16; ++i) {
        ASSERT_TRUE(pair.open(channel_options("channel " + std::to_string(i), i % 2 == 0)));
    }
    for (std::uint32_t round = 0; round < 10; ++round) {
        for (DataChannel* channel : client.channels) {
            ASSERT_TRUE(
                channel->send(as_bytes(channel->label()), pattern(round, 100 + round)).ok());
        }
    }
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == 160; }));
    std::map<std::uint16_t, std::string> names;
    for (const DataChannel* channel : server.channels) {
        names[channel->stream_id()] = channel->label();
    }
    std::map<std::uint16_t, int> counts;
    for (const auto& message : server.messages) {
        const std::string& name = names.at(message.stream);
        EXPECT_EQ(as_text(message.bytes).substr(0, name.size()), name);
        ++counts[message.stream];
    }
    EXPECT_EQ(counts.size(), 16U);
    for (const auto& [stream, count] : counts) EXPECT_EQ(count, 10) << stream;
}

TEST_F(DataTransportTest, ClosingAChannelSendsWhatWasQueuedAndClosesBothEnds) {
    open_pair();
    const Bytes body = pattern(1, 200'000);
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

TEST_F(DataTransportTest, TheAcceptingEndMayCloseAChannelToo) {
    open_pair();
    server.channel().close();
    server.channel().close();  // once more does nothing
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 1 && server.closed_streams.size() == 1; }));
}

TEST_F(DataTransportTest, BothEndsMayCloseAtOnce) {
    open_pair();
    server.channel().close();
    client.channel().close();
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 1 && server.closed_streams.size() == 1; }));
}

TEST_F(DataTransportTest, AStreamIsUsedAgainAndAgain) {
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

TEST_F(DataTransportTest, ManyChannelsCloseAtOnceOverALossyLink) {
    ASSERT_TRUE(pair.connect());
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(pair.open(channel_options(std::to_string(i))));
    pair.impairment.loss = 100;
    for (DataChannel* channel : client.channels) channel->close();
    ASSERT_TRUE(pair.run_until(
        [&] { return client.closed_streams.size() == 16 && server.closed_streams.size() == 16; },
        seconds(120)))
        << client.closed_streams.size() << " " << server.closed_streams.size();
}

TEST_F(DataTransportTest, ARefusedChannelIsResetAndNobodyIsToldOfItsEnd) {
    ASSERT_TRUE(pair.connect());
    server.refuse_channels = true;
    ASSERT_TRUE(client.transport->open_channel(channel_options("unwanted")).ok());
    ASSERT_TRUE(pair.run_until([&] { return client.closed_streams.size() == 1; }));
    EXPECT_TRUE(server.closed_streams.empty());
    server.refuse_channels = false;
    ASSERT_TRUE(pair.open(channel_options("wanted")));
}

TEST_F(DataTransportTest, ChannelsAreBounded) {
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

TEST_F(DataTransportTest, OverlongNamesAreRefused) {
    ASSERT_TRUE(pair.connect());
    ChannelOptions options = channel_options(std::string(1025, 'x'));
    EXPECT_EQ(client.transport->open_channel(options).error().code, ErrorCode::kInvalid);
    options = channel_options(std::string(1024, 'x'));
    EXPECT_TRUE(pair.open(options));
}

TEST_F(DataTransportTest, ClosingTheTransportClosesTheOtherEndAndItsChannels) {
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

TEST_F(DataTransportTest, ATransportMayBeClosedFromWithinACallback) {
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

TEST_F(DataTransportTest, AFloodAfterTheCloseDoesNoHarm) {
    open_pair();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.channel().send({}, Bytes(60'000, 1)).ok());
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

TEST_F(DataTransportTest, ADestroyedTransportLeavesNothingThatTouchesIt) {
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

TEST_F(DataTransportTest, ATransportMayGoAtAnyMomentOfItsLife) {
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

TEST_F(DataTransportTest, AWrongFingerprintEndsBeforeAnyChannel) {
    client.options.remote_fingerprint[3] ^= 1;
    pair.start();
    ASSERT_TRUE(client.transport->open_channel(channel_options()).ok());
    ASSERT_TRUE(
        pair.run_until([&] { return client.times_closed == 1 && server.times_closed == 1; }));
    EXPECT_EQ(client.close_reason, "dtls failed: certificate does not match the fingerprint");
    EXPECT_FALSE(client.connected);
    EXPECT_FALSE(server.connected);
}

TEST_F(DataTransportTest, ASilentPeerEndsWithTheConnectTimeout) {
    client.options.connect_timeout = server.options.connect_timeout = seconds(5);
    pair.impairment.loss = 1000;
    pair.start();
    ASSERT_TRUE(pair.run_until([&] { return client.times_closed == 1 && server.times_closed == 1; },
                               seconds(10)));
    EXPECT_EQ(client.close_reason, "connect timed out");
    EXPECT_EQ(server.close_reason, "connect timed out");
}

TEST_F(DataTransportTest, APeerThatVanishesUnderLoadEndsWithATimeout) {
    open_pair();
    ASSERT_TRUE(client.channel().send({}, Bytes(10'000, 1)).ok());
    server.transport.reset();
    server.channels.clear();
    ASSERT_TRUE(pair.run_until([&] { return client.times_closed == 1; }, seconds(600)));
    EXPECT_EQ(client.close_reason, "sctp timed out");
}

TEST_F(DataTransportTest, GarbageIsIgnoredAtEveryState) {
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

TEST(SctpStackTest, TicksFastWhileSomethingIsInFlightAndSlowlyWhenIdle) {
    TransportPair pair;
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.open(channel_options()));
    pair.run_until([] { return false; }, seconds(2));
    pair.stack->handle_timers(pair.now);
    EXPECT_EQ(pair.stack->next_timeout(pair.now) - pair.now, milliseconds(50));
    ASSERT_TRUE(pair.client.channel().send({}, as_bytes("x")).ok());
    EXPECT_EQ(pair.stack->next_timeout(pair.now) - pair.now, milliseconds(10));
}

TEST(SctpStackTest, SeveralStacksMayFollowEachOther) {
    for (int i = 0; i < 3; ++i) {
        TransportPair pair;
        ASSERT_TRUE(pair.connect()) << i;
    }
}

}  // namespace
}  // namespace kollator::rtc
