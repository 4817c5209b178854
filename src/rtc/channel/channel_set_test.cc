#include "rtc/channel/channel_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace kollator::rtc {
namespace {

/// Takes down what it is told, and refuses to send where it is told to.
class FakeAssociation final : public SctpAssociation {
 public:
    struct Sent {
        SctpSendOptions options;
        Bytes message;
    };

    void connect(TimePoint) override {}
    void handle_packet(ByteSpan, TimePoint) override {}
    void poll(TimePoint) override {}
    bool wants_poll() const override { return false; }
    Status send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) override {
        if (full || blocked_streams.contains(options.stream)) {
            return make_error(ErrorCode::kLimit, "full");
        }
        Bytes message(head.begin(), head.end());
        message.insert(message.end(), body.begin(), body.end());
        sent.push_back({options, std::move(message)});
        return {};
    }
    std::size_t buffered_bytes() const override { return 11; }
    std::size_t writable_bytes() const override { return 22; }
    std::uint16_t outgoing_streams() const override { return streams; }
    void reset_stream(std::uint16_t stream) override { resets.push_back(stream); }
    void abort() override {}

    bool full = false;
    std::uint16_t streams = 256;
    std::set<std::uint16_t> blocked_streams;
    std::vector<Sent> sent;
    std::vector<std::uint16_t> resets;
};

class ChannelSetTest : public ::testing::Test, public DataTransportObserver {
 protected:
    class Recorder final : public DataChannelObserver {
     public:
        Recorder(ChannelSetTest& test, std::uint16_t stream) : test_(test), stream_(stream) {}
        void on_message(ByteSpan message, bool binary) override {
            test_.log(stream_, (binary ? "binary " : "text ") + std::string(as_text(message)));
        }
        void on_writable() override { test_.log(stream_, "writable"); }
        void on_close() override { test_.log(stream_, "close"); }

     private:
        ChannelSetTest& test_;
        const std::uint16_t stream_;
    };

    void on_transport_connected() override {}
    void on_transport_closed(const std::string&) override {}
    std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) override {
        if (refuse) return nullptr;
        last = &channel;
        log(channel.stream_id(), "open " + std::string(channel.label()));
        return std::make_unique<Recorder>(*this, channel.stream_id());
    }
    void log(std::uint16_t stream, const std::string& what) {
        events.push_back(std::to_string(stream) + " " + what);
    }

    static Bytes open_message(const std::string& label, DcepOpen open = {}) {
        open.label = label;
        return build_dcep_open(open);
    }
    void dcep(std::uint16_t stream, ByteSpan message) { set.on_message(stream, 50, message); }

    FakeAssociation association;
    bool refuse = false;
    DataChannel* last = nullptr;
    std::vector<std::string> events;
    ChannelSet set{DtlsRole::kServer, 1000, *this};
};

using Events = std::vector<std::string>;

TEST_F(ChannelSetTest, APeersOpenIsAcknowledgedAndPresented) {
    set.on_connected(association);
    dcep(4, open_message("files"));
    ASSERT_EQ(association.sent.size(), 1U);
    EXPECT_EQ(association.sent[0].options.ppid, 50U);
    EXPECT_EQ(association.sent[0].options.stream, 4);
    EXPECT_TRUE(association.sent[0].options.ordered);
    EXPECT_EQ(association.sent[0].message, build_dcep_ack());
    EXPECT_EQ(events, Events{"4 open files"});
}

TEST_F(ChannelSetTest, TextBinaryAndEmptyMessagesAreToldApart) {
    set.on_connected(association);
    dcep(4, open_message("a"));
    events.clear();
    set.on_message(4, 51, as_bytes("t"));
    set.on_message(4, 53, as_bytes("b"));
    set.on_message(4, 56, as_bytes("\0"));
    set.on_message(4, 57, as_bytes("\0"));
    EXPECT_EQ(events, (Events{"4 text t", "4 binary b", "4 text ", "4 binary "}));
}

TEST_F(ChannelSetTest, UnknownPayloadTypesAreIgnored) {
    set.on_connected(association);
    dcep(4, open_message("a"));
    events.clear();
    for (const std::uint32_t ppid : {0U, 49U, 52U, 54U, 55U, 58U, 0xffffffffU}) {
        set.on_message(4, ppid, as_bytes("x"));
    }
    EXPECT_TRUE(events.empty());
    EXPECT_TRUE(association.resets.empty());
}

TEST_F(ChannelSetTest, DataForAStreamWithoutAChannelIsIgnored) {
    set.on_connected(association);
    set.on_message(6, 53, as_bytes("x"));
    set.on_message(65535, 53, as_bytes("x"));
    dcep(6, build_dcep_ack());
    EXPECT_TRUE(events.empty());
    EXPECT_TRUE(association.resets.empty());
    EXPECT_EQ(set.size(), 0U);
}

TEST_F(ChannelSetTest, ASecondOpenOfAStreamLeavesTheFirstChannelAlone) {
    set.on_connected(association);
    dcep(4, open_message("first"));
    dcep(4, open_message("second"));
    set.on_message(4, 53, as_bytes("x"));
    EXPECT_EQ(events, (Events{"4 open first", "4 binary x"}));
    EXPECT_TRUE(association.resets.empty());
    EXPECT_EQ(set.size(), 1U);
}

TEST_F(ChannelSetTest, AnOpenOnAFreeStreamOfOurParityIsAccepted) {
    set.on_connected(association);
    dcep(5, open_message("a"));
    EXPECT_EQ(events, Events{"5 open a"});
    EXPECT_TRUE(association.resets.empty());
    EXPECT_EQ(set.size(), 1U);
}

TEST_F(ChannelSetTest, AMalformedOpenIsRefused) {
    set.on_connected(association);
    Bytes message = open_message("a");
    message.pop_back();
    dcep(4, message);
    EXPECT_EQ(association.resets, std::vector<std::uint16_t>{4});
    dcep(4, {});
    dcep(4, Bytes{9});
    EXPECT_TRUE(events.empty());
}

TEST_F(ChannelSetTest, AnOpenThatCannotBeAnsweredIsRefused) {
    association.streams = 10;
    set.on_connected(association);
    dcep(10, open_message("a"));
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(set.size(), 0U);
}

TEST_F(ChannelSetTest, OurOwnChannelIsPresentedWhenItIsAcknowledged) {
    const auto stream = set.open({"mine", "p", true});
    ASSERT_TRUE(stream.ok());
    EXPECT_EQ(*stream, 1);
    EXPECT_TRUE(association.sent.empty());
    set.on_connected(association);
    ASSERT_EQ(association.sent.size(), 1U);
    EXPECT_TRUE(events.empty());
    dcep(1, build_dcep_ack());
    dcep(1, build_dcep_ack());
    EXPECT_EQ(events, Events{"1 open mine"});
}

TEST_F(ChannelSetTest, DataThatOvertakesTheAckOpensTheChannel) {
    set.on_connected(association);
    ASSERT_TRUE(set.open({"mine", "p", false}).ok());
    set.on_message(1, 53, as_bytes("early"));
    dcep(1, build_dcep_ack());
    EXPECT_EQ(events, (Events{"1 open mine", "1 binary early"}));
}

TEST_F(ChannelSetTest, APartiallyReliableChannelIsSentOnAsItsOpenerAsked) {
    set.on_connected(association);
    DcepOpen open;
    open.ordered = false;
    open.reliability = Reliability::kMaxRetransmits;
    open.reliability_parameter = 3;
    dcep(2, open_message("a", open));
    ASSERT_TRUE(last->send({}, as_bytes("x")).ok());
    EXPECT_FALSE(association.sent.back().options.ordered);
    EXPECT_EQ(association.sent.back().options.max_retransmits, 3);
    EXPECT_EQ(association.sent.back().options.max_lifetime_ms, -1);
    open.ordered = true;
    open.reliability = Reliability::kMaxLifetime;
    open.reliability_parameter = 0xffffffff;
    dcep(4, open_message("b", open));
    ASSERT_TRUE(last->send({}, as_bytes("x")).ok());
    EXPECT_TRUE(association.sent.back().options.ordered);
    EXPECT_EQ(association.sent.back().options.max_retransmits, -1);
    EXPECT_EQ(association.sent.back().options.max_lifetime_ms, INT32_MAX);
}

TEST_F(ChannelSetTest, AnEmptyMessageIsOneByteOfItsOwnType) {
    set.on_connected(association);
    dcep(2, open_message("a"));
    ASSERT_TRUE(last->send({}, {}).ok());
    EXPECT_EQ(association.sent.back().options.ppid, 57U);
    EXPECT_EQ(association.sent.back().message.size(), 1U);
}

TEST_F(ChannelSetTest, AnAckThatFindsNoRoomIsSentLater) {
    set.on_connected(association);
    association.full = true;
    dcep(2, open_message("a"));
    EXPECT_TRUE(association.sent.empty());
    set.flush();
    EXPECT_TRUE(association.sent.empty());
    association.full = false;
    set.flush();
    ASSERT_EQ(association.sent.size(), 1U);
    EXPECT_EQ(association.sent[0].message, build_dcep_ack());
    set.flush();
    EXPECT_EQ(association.sent.size(), 1U);
}

TEST_F(ChannelSetTest, AStreamWhoseResetIsNotDoneMayBeOpenedAgainByThePeer) {
    set.on_connected(association);
    dcep(2, open_message("first"));
    set.on_reset(2);
    EXPECT_EQ(events, (Events{"2 open first", "2 close"}));
    EXPECT_EQ(association.resets, std::vector<std::uint16_t>{2});
    association.blocked_streams.insert(2);  // as usrsctp does while it resets
    dcep(2, open_message("second"));
    EXPECT_EQ(events.back(), "2 open second");
    set.on_reset_done(2);
    association.blocked_streams.clear();
    set.flush();
    EXPECT_EQ(association.sent.back().message, build_dcep_ack());
    set.on_message(2, 53, as_bytes("x"));
    EXPECT_EQ(events.back(), "2 binary x");
}

TEST_F(ChannelSetTest, OurCloseWaitsForBothResets) {
    set.on_connected(association);
    dcep(2, open_message("a"));
    last->close();
    EXPECT_EQ(association.resets, std::vector<std::uint16_t>{2});
    EXPECT_EQ(last->writable_bytes(), 0U);
    set.on_reset_done(2);
    EXPECT_EQ(events.size(), 1U);
    set.on_message(2, 53, as_bytes("late"));
    EXPECT_EQ(events.size(), 1U);
    set.on_reset(2);
    EXPECT_EQ(events.back(), "2 close");
    EXPECT_EQ(set.size(), 0U);
    set.on_reset(2);
    set.on_reset_done(2);
    EXPECT_EQ(events.size(), 2U);
    EXPECT_EQ(association.resets.size(), 1U);
}

TEST_F(ChannelSetTest, AResetOfAStreamWithoutAChannelIsNotAnswered) {
    set.on_connected(association);
    set.on_reset(8);
    EXPECT_TRUE(association.resets.empty());
}

TEST_F(ChannelSetTest, OurOwnStreamIsFreeOnlyAfterBothResets) {
    set.on_connected(association);
    ASSERT_EQ(*set.open({"a", "", true}), 1);
    dcep(1, build_dcep_ack());
    last->close();
    EXPECT_EQ(*set.open({"b", "", true}), 3);
    set.on_reset(1);
    EXPECT_EQ(*set.open({"c", "", true}), 5);
    set.on_reset_done(1);
    EXPECT_EQ(*set.open({"d", "", true}), 1);
}

TEST_F(ChannelSetTest, ARefusedChannelIsResetWithoutAnObserver) {
    set.on_connected(association);
    refuse = true;
    dcep(2, open_message("a"));
    EXPECT_EQ(association.resets, std::vector<std::uint16_t>{2});
    set.on_message(2, 53, as_bytes("x"));
    set.on_reset(2);
    set.on_reset_done(2);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(set.size(), 0U);
}

TEST_F(ChannelSetTest, ThePeersChannelsAreBounded) {
    association.streams = 65535;
    set.on_connected(association);
    for (std::uint32_t stream = 0; stream < 2000; stream += 2) {
        dcep(static_cast<std::uint16_t>(stream), open_message("a"));
    }
    EXPECT_EQ(set.size(), 256U);
    EXPECT_FALSE(set.open({"b", "", true}).ok());
}

TEST_F(ChannelSetTest, WritableGoesToThoseThatWaitAndTakesTurns) {
    set.on_connected(association);
    std::vector<DataChannel*> channels;
    for (const std::uint16_t stream : {std::uint16_t{2}, std::uint16_t{4}, std::uint16_t{6}}) {
        dcep(stream, open_message("a"));
        channels.push_back(last);
    }
    events.clear();
    association.full = true;
    EXPECT_EQ(channels[0]->send({}, as_bytes("x")).error().code, ErrorCode::kLimit);
    EXPECT_EQ(channels[2]->send({}, as_bytes("x")).error().code, ErrorCode::kLimit);
    association.full = false;
    set.on_writable();
    EXPECT_EQ(events, (Events{"2 writable", "6 writable"}));
    set.on_writable();
    EXPECT_EQ(events.size(), 2U);
}

TEST_F(ChannelSetTest, EveryOpenChannelIsToldOfTheEnd) {
    set.on_connected(association);
    dcep(2, open_message("a"));
    dcep(4, open_message("b"));
    DataChannel* const channel = last;
    ASSERT_TRUE(set.open({"never acknowledged", "", true}).ok());
    events.clear();
    set.close_all();
    EXPECT_EQ(events, (Events{"2 close", "4 close"}));
    EXPECT_EQ(set.size(), 0U);
    static_cast<void>(channel);
}

}  // namespace
}  // namespace kollator::rtc
