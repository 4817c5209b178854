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

class DataTransportTest : public testing::BothStacks {
 protected:
    void open_pair(const ChannelOptions& options = channel_options()) {
        ASSERT_TRUE(pair.connect());
        ASSERT_TRUE(pair.open(options));
    }

    TransportPair pair{GetParam()};
    TransportEnd& client = pair.client;
    TransportEnd& server = pair.server;
};

KOLLATOR_BOTH_STACKS(DataTransportTest);

TEST_P(DataTransportTest, ConnectsAndOpensAChannelWithItsNames) {
    open_pair();
    EXPECT_EQ(server.channel().label(), "kollator");
    EXPECT_EQ(server.channel().protocol(), "kollator.v1");
    EXPECT_TRUE(server.channel().ordered());
    EXPECT_EQ(client.channel().label(), "kollator");
    EXPECT_EQ(client.transport->state(), DataTransport::State::kConnected);
    EXPECT_EQ(server.transport->state(), DataTransport::State::kConnected);
    EXPECT_EQ(server.transport->channel_count(), 1U);
}

TEST_P(DataTransportTest, TheDtlsClientOpensEvenStreamsAndTheServerOddOnes) {
    open_pair();
    EXPECT_EQ(client.channel().stream_id() % 2, 0);
    ASSERT_TRUE(server.transport->open_channel(channel_options("back")).ok());
    ASSERT_TRUE(pair.run_until([&] { return client.channels.size() == 2; }));
    EXPECT_EQ(client.channel(1).stream_id() % 2, 1);
    EXPECT_EQ(client.channel(1).label(), "back");
}

TEST_P(DataTransportTest, AChannelMayBeOpenedBeforeTheTransportIsConnected) {
    pair.start();
    ASSERT_TRUE(client.transport->open_channel(channel_options("early")).ok());
    ASSERT_TRUE(
        pair.run_until([&] { return !server.channels.empty() && !client.channels.empty(); }));
    EXPECT_EQ(server.channel().label(), "early");
}

TEST_P(DataTransportTest, HeadAndBodyArriveAsOneBinaryMessage) {
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

TEST_P(DataTransportTest, EmptyMessagesArriveEmpty) {
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
        seconds(60)))
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

TEST_P(DataTransportTest, MessagesOfEverySizeArriveBothWaysInOrder) {
    open_pair();
    exchange(pair, many_sizes(1), true);
}

TEST_P(DataTransportTest, MessagesOfEverySizeArriveBothWaysUnordered) {
    open_pair(channel_options("kollator", false));
    EXPECT_FALSE(server.channel().ordered());
    exchange(pair, many_sizes(2), false);
}

using DataTransportLinkTest = testing::BothStacks;
KOLLATOR_BOTH_STACKS(DataTransportLinkTest);

TEST_P(DataTransportLinkTest, NothingIsLostOnALinkThatLosesDoublesAndReorders) {
    constexpr std::uint64_t kSeed = 11;
    std::vector<std::size_t> sizes = many_sizes(kSeed);
    sizes.resize(24);  // real time: a megabyte each way
    for (const bool ordered : {true, false}) {
        SCOPED_TRACE(::testing::Message() << "seed " << kSeed << " ordered " << ordered);
        TransportPair pair(GetParam(), kSeed);
        ASSERT_TRUE(pair.connect());
        ASSERT_TRUE(pair.open(channel_options("kollator", ordered)));
        pair.losses = true;
        pair.impairment.loss = 20;
        pair.impairment.duplication = 10;
        pair.impairment.reordering = 30;
        pair.impairment.delay = milliseconds(2);
        exchange(pair, sizes, ordered);
    }
}

TEST_P(DataTransportTest, TheSendBufferIsEmptyAgainOnceAllIsAcknowledged) {
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

TEST_P(DataTransportTest, AFullSendBufferRefusesAndTellsWhenThereIsRoom) {
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

TEST_P(DataTransportTest, AFullBufferOfTinyMessagesRefusesToo) {
    open_pair();
    pair.impairment.loss = 1000;  // nothing leaves
    std::size_t sent = 0;
    Status status;
    while ((status = client.channel().send({}, as_bytes("x"))).ok()) ASSERT_LT(++sent, 100'000U);
    EXPECT_EQ(status.error().code, ErrorCode::kLimit);
    EXPECT_LE(sent, 5000U);
    pair.impairment.loss = 0;
    ASSERT_TRUE(pair.run_until([&] { return server.messages.size() == sent; }, seconds(60)));
    EXPECT_GE(client.times_writable, 1);
}

TEST_P(DataTransportTest, EveryChannelThatWasRefusedIsToldOfTheRoom) {
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

TEST_P(DataTransportTest, MessagesOverThePeersLimitAreRefused) {
    client.options.remote_max_message_bytes = 1000;
    open_pair();
    EXPECT_EQ(client.channel().max_message_bytes(), 1000U);
    EXPECT_TRUE(client.channel().send({}, Bytes(1000)).ok());
    const Status status = client.channel().send(Bytes(1), Bytes(1000));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
}

TEST_P(DataTransportTest, APeerWithoutALimitGetsOurLargest) {
    client.options.remote_max_message_bytes = 0;
    open_pair();
    EXPECT_EQ(client.channel().max_message_bytes(), kMaxMessageBytes);
}

TEST_P(DataTransportTest, SixteenChannelsCarryTheirOwnMessages) {
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

}  // namespace
}  // namespace kollator::rtc
