// What a peer's chunks do, strangers' ones too: SHUTDOWN, resets, errors, partial reliability.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "rtc/sctp/packet/reconfig_chunk.h"
#include "rtc/testing/scripted_sctp_peer.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;
namespace chunk_type = sctp::chunk_type;

class ScriptedPeerTest : public ::testing::Test, public testing::ScriptedSctpPeer {
 protected:
    void SetUp() override {
        stack = make_sctp_stack(random);
        connect_to(*stack);
    }
    void TearDown() override { association.reset(); }

    SeededRandom random{7};
};

TEST_F(ScriptedPeerTest, AHeartbeatIsAnsweredWithItsInfo) {
    give(chunk_type::kHeartbeat, as_bytes("info"));
    EXPECT_EQ(as_text(find(chunk_type::kHeartbeatAck)), "info");
}

TEST_F(ScriptedPeerTest, AnAnswerThatFitsNoPacketHoldsNothingUp) {
    const auto give_large = [this](std::uint8_t type, ByteSpan value) {
        sctp::PacketBuilder packet(8000);
        packet.begin({5000, 5000, local_tag});
        packet.add(type, 0, value);
        association->handle_packet(packet.finish(sctp::Checksum::kZero), now);
        association->poll(now);
        EXPECT_FALSE(association->wants_poll());
    };
    give_large(chunk_type::kHeartbeat, Bytes(4000, 1));
    Bytes requests;
    Bytes request(4);
    for (std::uint32_t i = 0; i < 300; ++i) {
        store_u32(request.data(), 1000 + i);
        sctp::append_parameter(requests, 17, request);  // add streams: refused, each
    }
    give_large(chunk_type::kReconfig, requests);
    give(chunk_type::kHeartbeat, as_bytes("info"));
    EXPECT_EQ(as_text(find(chunk_type::kHeartbeatAck)), "info");
}

TEST_F(ScriptedPeerTest, UnknownChunksAreSkippedOrReportedByTheirHighBits) {
    for (const int each : {0x3f, 0x7f, 0xbf, 0xff}) {
        const auto type = static_cast<std::uint8_t>(each);
        sent.clear();
        sctp::PacketBuilder packet(1160);
        packet.begin({5000, 5000, local_tag});
        packet.add(type, 0, as_bytes("?"));
        packet.add(chunk_type::kHeartbeat, 0, as_bytes("info"));
        association->handle_packet(packet.finish(sctp::Checksum::kZero), now);
        association->poll(now);
        EXPECT_EQ(!find(chunk_type::kHeartbeatAck).empty(), sctp::must_skip(type)) << int{type};
        EXPECT_EQ(!find(chunk_type::kError).empty(), sctp::must_report(type)) << int{type};
    }
}

TEST_F(ScriptedPeerTest, AWrongTagOrPortIsIgnored) {
    give(local_tag + 1, chunk_type::kAbort, {});
    give(kPeerTag, chunk_type::kAbort, {});  // right only with the T bit
    EXPECT_EQ(times_closed, 0);
    give(kPeerTag, chunk_type::kAbort, {}, 1);
    EXPECT_EQ(times_closed, 1);
    EXPECT_EQ(close_reason, "peer closed");
}

TEST_F(ScriptedPeerTest, AnAbortTellsItsCause) {
    const std::pair<std::uint16_t, const char*> reasons[] = {
        {1, "peer aborted: invalid stream identifier"},
        {9, "peer aborted: no user data"},
        {12, "peer closed"},
        {13, "peer aborted: protocol violation"},
        {14, "peer aborted: unknown cause"},
        {0, "peer aborted: unknown cause"},
    };
    for (const auto& [cause, reason] : reasons) {
        ScriptedSctpPeer peer;
        peer.connect_to(*stack);
        Bytes value;
        sctp::append_parameter(value, cause, as_bytes("text"));
        peer.give(chunk_type::kError, value);
        EXPECT_EQ(peer.times_closed, 0);
        peer.give(chunk_type::kAbort, value);
        EXPECT_EQ(peer.close_reason, reason);
    }
}

TEST_F(ScriptedPeerTest, AShutdownIsAnsweredOnceOurDataHasArrived) {
    ASSERT_TRUE(association->send({}, {}, as_bytes("x")).ok());
    association->poll(now);
    const std::uint32_t tsn = load_u32(find(chunk_type::kData).data());
    Bytes cumulative(4);
    store_u32(cumulative.data(), tsn - 1);
    give(chunk_type::kShutdown, cumulative);
    EXPECT_TRUE(find(chunk_type::kShutdownAck).empty());
    EXPECT_FALSE(association->send({}, {}, as_bytes("y")).ok());
    Bytes sack(12);
    store_u32(sack.data(), tsn);
    give(chunk_type::kSack, sack);
    EXPECT_FALSE(find(chunk_type::kShutdownAck).empty());
    association->poll(now);
    EXPECT_EQ(close_reason, "peer closed");
}

TEST_F(ScriptedPeerTest, AResetThatIsAheadOfTheDataIsDeferredAndThenAnswered) {
    Bytes request;
    sctp::append_reconfig(request, sctp::OutgoingResetRequest{1000, 0, 1000, {3}});
    give(chunk_type::kReconfig, request);
    EXPECT_TRUE(resets.empty());
    sent.clear();
    give(chunk_type::kData, data(1000, 3, 0, "last"), 3);
    EXPECT_EQ(resets, std::vector<std::uint16_t>{3});
    ASSERT_EQ(messages.size(), 1U);
    const Bytes value = find(chunk_type::kReconfig);
    ByteSpan rest = value;
    const auto response = sctp::take_reconfig(rest);
    ASSERT_TRUE(response);
    EXPECT_EQ(std::get<sctp::ReconfigResponse>(*response).result, sctp::ResetResult::kPerformed);
    give(chunk_type::kReconfig, request);  // again: the answer got lost
    EXPECT_EQ(resets.size(), 1U);
    give(chunk_type::kData, data(1001, 3, 0, "anew"), 3);
    EXPECT_EQ(messages.size(), 2U);
}

TEST_F(ScriptedPeerTest, ARequestToResetAllResetsWhatWasUsed) {
    give(chunk_type::kData, data(1000, 7, 0, "x"), 3);
    give(chunk_type::kData, data(1001, 200, 0, "y"), 3 | 4);
    for (const std::uint32_t sequence : {1000U, 1001U}) {
        Bytes request;
        sctp::append_reconfig(request, sctp::OutgoingResetRequest{sequence, 0, 1001, {}});
        give(chunk_type::kReconfig, request);
        EXPECT_EQ(resets, (std::vector<std::uint16_t>{7, 200})) << sequence;
    }
    give(chunk_type::kData, data(1002, 7, 0, "anew"), 3);
    EXPECT_EQ(messages.size(), 3U);
}

/// Each of the 1,000 requests that 16 KB hold may reset all streams.
TEST_F(ScriptedPeerTest, OfManyResetsInAPacketAFewAreRead) {
    for (std::uint16_t stream = 0; stream < 256; ++stream) {
        give(chunk_type::kData, data(1000 + stream, stream, 0, "x"), 3);
    }
    std::vector<std::uint16_t> all(256);
    for (std::uint16_t stream = 0; stream < 256; ++stream) all[stream] = stream;
    const auto request = [&](std::uint32_t sequence) {
        Bytes parameter;
        sctp::append_reconfig(parameter, sctp::OutgoingResetRequest{sequence, 0, 1000, all});
        return parameter;
    };
    Bytes four;
    for (std::uint32_t i = 0; i < 4; ++i) {
        const Bytes one = request(1000 + i);
        four.insert(four.end(), one.begin(), one.end());
    }
    give(chunk_type::kReconfig, four);
    EXPECT_EQ(resets.size(), 2U * 256);
    resets.clear();
    std::vector<Bytes> values;
    for (std::uint32_t i = 0; i < 10; ++i) values.push_back(request(1002 + i));
    std::vector<sctp::Chunk> chunks;
    for (const Bytes& value : values) chunks.push_back({chunk_type::kReconfig, 0, value});
    give(local_tag, chunks);
    EXPECT_EQ(resets.size(), 2U * 256);
    // And none lists more than there are.
    resets.clear();
    all.resize(2000);
    give(chunk_type::kReconfig, request(1004));
    EXPECT_TRUE(resets.empty());
}

TEST_F(ScriptedPeerTest, ARequestToResetOursIsDone) {
    Bytes request;
    ByteWriter writer(request);
    writer.u16(14);
    writer.u16(10);
    writer.u32(1000);
    writer.u16(5);
    give(chunk_type::kReconfig, request);
    const Bytes value = find(chunk_type::kReconfig);
    ASSERT_FALSE(value.empty());
    std::set<std::size_t> kinds;
    for (const Bytes& packet : sent) {
        ByteSpan rest = packet;
        sctp::take_common_header(rest);
        while (const auto chunk = sctp::take_chunk(rest)) {
            ByteSpan parameters = chunk->value;
            if (chunk->type != chunk_type::kReconfig) continue;
            while (const auto each = sctp::take_reconfig(parameters)) kinds.insert(each->index());
        }
    }
    EXPECT_EQ(kinds, (std::set<std::size_t>{0, 3}));  // our own request, and the response
}

TEST_F(ScriptedPeerTest, UnreadMessagesDoNotKeepTheBuffersOfLargerOnes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the heap is the sanitizer's";
#endif
    ScriptedSctpPeer other;
    other.keep_messages = false;
    other.connect_to(*stack);
    std::uint32_t tsn = 1000;
    const auto give_large = [&] {  // a buffer for the pool
        const std::string fragment(16'000, 'x');
        for (int i = 0; i < 16; ++i, ++tsn) {
            other.give(chunk_type::kData, data(tsn, 0, 0, fragment),
                       static_cast<std::uint8_t>(4 | (i == 0    ? 2
                                                      : i == 15 ? 1
                                                                : 0)));
        }
    };
    give_large();
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    association->set_reading(false);
    for (std::uint16_t ssn = 0; ssn < 40; ++ssn) {
        give(chunk_type::kData, data(1000U + 2 * ssn, 1, ssn, "small"), 2);
        give(chunk_type::kData, data(1001U + 2 * ssn, 1, ssn, " message"), 1);
        give_large();
    }
    EXPECT_LT(mallinfo2().uordblks + mallinfo2().hblkhd, before + 1'000'000);
    association->set_reading(true);
    association->poll(now);
    EXPECT_EQ(messages.size(), 40U);
}

TEST_F(ScriptedPeerTest, DataOnAStreamThatWasNotAgreedOnIsReported) {
    give(chunk_type::kData, data(1000, 256, 0, "x"), 3);
    EXPECT_FALSE(find(chunk_type::kError).empty());
    EXPECT_TRUE(messages.empty());
}

TEST_F(ScriptedPeerTest, EmptyDataEndsTheAssociation) {
    give(chunk_type::kData, data(1000, 0, 0, ""), 3);
    EXPECT_EQ(times_closed, 1);
    EXPECT_FALSE(find(chunk_type::kAbort).empty());
}

TEST_F(ScriptedPeerTest, ASackOfWhatWasNeverSentIsIgnored) {
    Bytes sack(12);
    store_u32(sack.data(), 0x7fffffff);
    store_u32(sack.data() + 4, 100'000);
    ASSERT_TRUE(association->send({}, {}, as_bytes("x")).ok());
    association->poll(now);
    const std::uint32_t tsn = load_u32(find(chunk_type::kData).data());
    store_u32(sack.data(), tsn + 1);
    give(chunk_type::kSack, sack);
    EXPECT_EQ(association->buffered_bytes(), 1U);
    store_u32(sack.data(), tsn);
    give(chunk_type::kSack, sack);
    EXPECT_EQ(association->buffered_bytes(), 0U);
}

/// All that was sent of a message may have arrived when it is given up.
TEST_F(ScriptedPeerTest, AForwardTsnReachesBeyondWhatWasSentOfTheMessage) {
    SctpSendOptions once;
    once.max_retransmits = 0;
    ASSERT_TRUE(association->send(once, {}, Bytes(100'000, 1)).ok());
    association->poll(now);
    const std::uint32_t first = load_u32(find(chunk_type::kData).data());
    // The third arrives, which is told, and then not any more.
    Bytes sack(16);
    store_u32(sack.data(), first - 1);
    store_u32(sack.data() + 4, 100'000);
    store_u16(sack.data() + 8, 1);
    store_u32(sack.data() + 12, 0x00030003);
    give(chunk_type::kSack, sack);
    for (int i = 0; i < 6; ++i) {
        now = stack->next_timeout(now);
        stack->handle_timers(now);
        association->poll(now);
        sack.resize(12);
        store_u16(sack.data() + 8, 0);
        give(chunk_type::kSack, sack);
        EXPECT_LE(association->buffered_bytes(), 100'000U);
    }
    std::uint32_t last = 0;
    std::uint32_t told = 0;
    for (const Bytes& packet : std::exchange(sent, {})) {
        sent = {packet};
        if (const Bytes value = find(chunk_type::kData); !value.empty()) {
            last = std::max(last, load_u32(value.data()));
        }
        if (const Bytes value = find(chunk_type::kForwardTsn); !value.empty()) {
            told = load_u32(value.data());
        }
    }
    EXPECT_EQ(told, last + 1);
    store_u32(sack.data(), told);
    give(chunk_type::kSack, sack);
    EXPECT_EQ(association->buffered_bytes(), 0U);
    EXPECT_EQ(stack->stats().buffered_bytes, 0U);
}

TEST_F(ScriptedPeerTest, OfManySacksInAPacketTheLastOneCounts) {
    ASSERT_TRUE(association->send({}, {}, Bytes(100, 1)).ok());
    association->poll(now);
    const std::uint32_t tsn = load_u32(find(chunk_type::kData).data());
    const auto sack = [](std::uint32_t cumulative) {
        Bytes value(12);
        store_u32(value.data(), cumulative);
        store_u32(value.data() + 4, 100'000);
        return value;
    };
    const Bytes all = sack(tsn);
    const Bytes none = sack(tsn - 1);
    give(local_tag, {{chunk_type::kSack, 0, all}, {chunk_type::kSack, 0, none}});
    EXPECT_EQ(association->buffered_bytes(), 100U);
    give(local_tag, {{chunk_type::kSack, 0, none}, {chunk_type::kSack, 0, all}});
    EXPECT_EQ(association->buffered_bytes(), 0U);
    give(local_tag, {{chunk_type::kSack, 0, all}, {chunk_type::kAbort, 0, {}}});
    EXPECT_EQ(times_closed, 1);
}

TEST_F(ScriptedPeerTest, AnIdlePeerIsAskedEvery30SecondsAndGivenUpWithoutAnswers) {
    now += seconds(1);
    stack->handle_timers(now);  // what was listed for the handshake
    EXPECT_EQ(stack->next_timeout(now) - now, seconds(29));
    int timeouts = 0;
    while (times_closed == 0 && timeouts < 100) {
        now = stack->next_timeout(now);
        stack->handle_timers(now);
        association->poll(now);
        ++timeouts;
    }
    EXPECT_FALSE(find(chunk_type::kHeartbeat).empty());
    EXPECT_EQ(close_reason, "sctp timed out");
    EXPECT_EQ(timeouts, 12);
}

}  // namespace
}  // namespace kollator::rtc
