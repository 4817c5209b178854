// The association by itself: handshakes that lose packets, RFC 9653, FORWARD TSN, SHUTDOWN, what
// strangers' chunks do, timers, memory.
#include <gtest/gtest.h>
#include <malloc.h>

#include <set>
#include <string>

#include "rtc/sctp/packet/init_chunk.h"
#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/packet/reconfig_chunk.h"
#include "rtc/testing/sctp_pair.h"

namespace kollator::rtc {
namespace {

using sctp::Chunk;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SctpEnd;
using testing::SctpLink;
using testing::SctpPair;
namespace chunk_type = sctp::chunk_type;

std::vector<std::uint8_t> types_of(ByteSpan packet) {
    std::vector<std::uint8_t> types;
    sctp::take_common_header(packet);
    while (const auto chunk = sctp::take_chunk(packet)) types.push_back(chunk->type);
    return types;
}

bool has_type(ByteSpan packet, std::uint8_t type) {
    const auto types = types_of(packet);
    return std::find(types.begin(), types.end(), type) != types.end();
}

SctpLink far_link() {
    SctpLink link;
    link.delay = milliseconds(10);
    return link;
}

TEST(OwnAssociationTest, TheHandshakeSurvivesTheLossOfEachOfItsPackets) {
    for (std::uint64_t lost = 0; lost < 8; ++lost) {
        SctpPair pair(lost, far_link());
        std::uint64_t number = 0;
        pair.drop = [&](ByteSpan) { return number++ == lost; };
        ASSERT_TRUE(pair.connect()) << lost;
        ASSERT_TRUE(pair.a.association->send({}, {}, as_bytes("x")).ok());
        ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; })) << lost;
    }
}

TEST(OwnAssociationTest, OneSideAloneCanBegin) {
    SctpPair pair(1, far_link());
    pair.drop = [&](ByteSpan packet) {
        // b's own INIT never arrives.
        return has_type(packet, chunk_type::kInit) && pair.packets % 2 == 0;
    };
    ASSERT_TRUE(pair.connect());
}

TEST(OwnAssociationTest, NoAnswerToTheHandshakeEndsIt) {
    SctpPair pair(1, far_link());
    pair.drop = [](ByteSpan) { return true; };
    EXPECT_FALSE(pair.connect());
    EXPECT_EQ(pair.a.close_reason, "sctp could not be set up");
    EXPECT_EQ(pair.a.times_closed, 1);
}

TEST(OwnAssociationTest, ChecksumsAreLeftOutOnlyAfterBothAgreed) {
    SctpPair pair(1, far_link());
    std::size_t zero = 0;
    pair.drop = [&](ByteSpan packet) {
        const bool zeros = load_u32(packet.data() + 8) == 0;
        EXPECT_FALSE(zeros && has_type(packet, chunk_type::kInit));
        EXPECT_FALSE(zeros && has_type(packet, chunk_type::kCookieEcho));
        zero += zeros;
        return false;
    };
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(100'000, 1)).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; }));
    EXPECT_GT(zero, 80U);
}

TEST(OwnAssociationTest, PeersThatDoNotOfferItGetChecksums) {
    SctpPair pair(1, far_link(), SctpImplementation::kOwn, SctpImplementation::kUsrsctp);
    pair.drop = [](ByteSpan packet) {
        EXPECT_NE(load_u32(packet.data() + 8), 0U);
        return false;
    };
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(100'000, 1)).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; }));
}

/// Has RFC 9653's parameter: what peers do not read that drop what they do not know.
bool offers_zero_checksum(ByteSpan packet) {
    sctp::take_common_header(packet);
    while (const auto chunk = sctp::take_chunk(packet)) {
        if (chunk->type != chunk_type::kInit && chunk->type != chunk_type::kInitAck) continue;
        const auto init = sctp::parse_init(chunk->value);
        if (init.ok() && init->zero_checksum) return true;
    }
    return false;
}

TEST(OwnAssociationTest, APeerThatCannotReadTheOfferBeginsItself) {
    SctpPair pair(1, far_link(), SctpImplementation::kOwn, SctpImplementation::kUsrsctp);
    int dropped = 0;
    pair.drop = [&](ByteSpan packet) {
        const bool offer = offers_zero_checksum(packet);
        dropped += offer;
        return offer;
    };
    ASSERT_TRUE(pair.connect());
    EXPECT_EQ(dropped, 1) << "the second would be an INIT ACK";
}

TEST(OwnAssociationTest, APeerThatCannotReadTheOfferIsAskedWithoutIt) {
    SctpPair pair(1, far_link());
    pair.drop = offers_zero_checksum;
    for (SctpEnd* end : {&pair.a, &pair.b}) end->association = end->stack->make(end->options, *end);
    pair.a.association->connect(pair.now);
    EXPECT_TRUE(pair.run_until([&] { return pair.a.connected && pair.b.connected; }, seconds(1)));
}

TEST(OwnAssociationTest, ALostTailComesWithinAFewRoundTrips) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(1000, 1)).ok());
    pair.run_for(seconds(1));
    bool lost = false;
    pair.drop = [&](ByteSpan packet) {
        return has_type(packet, chunk_type::kData) && !std::exchange(lost, true);
    };
    const TimePoint before = pair.now;
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(1000, 1)).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 2; }));
    EXPECT_LT(pair.now - before, milliseconds(100));  // T3-rtx would be 220 at least
}

TEST(OwnAssociationTest, ANewPathIsUsedAtOnceAfterADeadOne) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    pair.drop = [](ByteSpan) { return true; };
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(100'000, 1)).ok());
    pair.run_for(seconds(4));  // T3-rtx has expired four times, and would again after 3 s
    pair.drop = nullptr;
    pair.a.association->on_new_path(pair.now);
    EXPECT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; }, milliseconds(400)));
}

TEST(OwnAssociationTest, ANewPathMakesNothingGoTwiceWhereTheOldOneWorks) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    ASSERT_TRUE(pair.a.association->send({}, {}, Bytes(100'000, 1)).ok());
    for (int i = 0; i < 10; ++i) {
        pair.run_for(milliseconds(5));
        pair.a.association->on_new_path(pair.now);
    }
    ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; }));
    EXPECT_EQ(pair.a.stack->stats().retransmitted_bytes, 0u);
}

TEST(OwnAssociationTest, ALostForwardTsnIsSentAgain) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    int forwards = 0;
    pair.drop = [&](ByteSpan packet) {
        if (has_type(packet, chunk_type::kForwardTsn)) return ++forwards <= 2;
        return has_type(packet, chunk_type::kData);
    };
    SctpSendOptions once;
    once.max_retransmits = 0;
    ASSERT_TRUE(pair.a.association->send(once, {}, Bytes(5000, 1)).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.a.association->buffered_bytes() == 0; }));
    EXPECT_EQ(forwards, 3);
    pair.drop = nullptr;
    ASSERT_TRUE(pair.a.association->send({}, {}, as_bytes("next")).ok());
    ASSERT_TRUE(pair.run_until([&] { return pair.b.messages.size() == 1; }));
}

TEST(OwnAssociationTest, ThePeersWindowBoundsWhatIsInFlightAndOpensAgain) {
    SctpPair pair(1, far_link());
    pair.b.options.receive_buffer_bytes = 1;
    pair.b.options.max_receive_buffer_bytes = 1;
    pair.b.options.max_message_bytes = 20'000;
    pair.b.keep_messages = false;
    ASSERT_TRUE(pair.connect());
    int sent = 0;
    const auto pump = [&] {
        while (sent < 200 && pair.a.association->send({}, {}, Bytes(20'000, 1)).ok()) ++sent;
    };
    pair.a.on_writable = pump;
    pump();
    ASSERT_TRUE(pair.run_until([&] { return pair.b.bytes_received == 200 * 20'000; }));
    EXPECT_EQ(pair.a.stack->stats().retransmitted_bytes, 0U);
}

TEST(OwnAssociationTest, APeerThatRestartsEndsTheAssociation) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    pair.b.association = pair.b.stack->make(pair.b.options, pair.b);
    pair.b.association->connect(pair.now);
    ASSERT_TRUE(pair.run_until([&] { return pair.a.times_closed == 1; }));
    EXPECT_EQ(pair.a.close_reason, "peer restarted the association");
}

TEST(OwnAssociationTest, ChangesFromOutsideAskForAPollOnce) {
    SctpPair pair(1, far_link());
    ASSERT_TRUE(pair.connect());
    pair.a.times_pending = 0;
    ASSERT_TRUE(pair.a.association->send({}, {}, as_bytes("x")).ok());
    ASSERT_TRUE(pair.a.association->send({}, {}, as_bytes("y")).ok());
    pair.a.association->reset_stream(3);
    EXPECT_EQ(pair.a.times_pending, 1);
    EXPECT_TRUE(pair.a.association->wants_poll());
    pair.a.association->poll(pair.now);
    EXPECT_FALSE(pair.a.association->wants_poll());
}

/// An association and a peer that is made of single chunks.
class ScriptedPeerTest : public ::testing::Test, public SctpEnd {
 protected:
    void SetUp() override {
        on_packet = [this](ByteSpan bytes) { sent.emplace_back(bytes.begin(), bytes.end()); };
        stack = make_sctp_stack(random);
        association = stack->make(options, *this);
        sctp::InitChunk init;
        init.tag = kPeerTag;
        init.window_bytes = 100'000;
        init.outgoing_streams = init.incoming_streams = 65535;
        init.tsn = 1000;
        init.forward_tsn = init.reconfig = true;
        association->connect(now);
        give(0, chunk_type::kInit, sctp::build_init(init));
        const auto answer = find(chunk_type::kInitAck);
        ASSERT_FALSE(answer.empty());
        const auto read = sctp::parse_init(answer);
        ASSERT_TRUE(read.ok());
        local_tag = read->tag;
        give(local_tag, chunk_type::kCookieEcho, read->cookie);
        ASSERT_TRUE(connected);
        sent.clear();
    }
    void give(std::uint32_t tag, std::uint8_t type, ByteSpan value, std::uint8_t flags = 0) {
        sctp::PacketBuilder packet(1160);
        packet.begin({5000, 5000, tag});
        std::copy(value.begin(), value.end(), packet.add(type, flags, value.size()).begin());
        association->handle_packet(packet.finish(sctp::Checksum::kCrc32c), now);
        association->poll(now);
    }
    void give(std::uint8_t type, ByteSpan value, std::uint8_t flags = 0) {
        give(local_tag, type, value, flags);
    }
    /// The value of the first chunk of that type that was sent.
    Bytes find(std::uint8_t type) const {
        for (const Bytes& packet : sent) {
            ByteSpan rest = packet;
            sctp::take_common_header(rest);
            while (const auto chunk = sctp::take_chunk(rest)) {
                if (chunk->type != type) continue;
                Bytes value(chunk->value.begin(), chunk->value.end());
                if (value.empty()) value.push_back(0);
                return value;
            }
        }
        return {};
    }
    Bytes data(std::uint32_t tsn, std::uint16_t stream, std::uint16_t ssn,
               std::string_view text) const {
        Bytes value(12);
        store_u32(value.data(), tsn);
        store_u16(value.data() + 4, stream);
        store_u16(value.data() + 6, ssn);
        value.insert(value.end(), text.begin(), text.end());
        return value;
    }

    static constexpr std::uint32_t kPeerTag = 0xabcdef;
    SeededRandom random{7};
    TimePoint now{std::chrono::hours(1)};
    std::uint32_t local_tag = 0;
    std::vector<Bytes> sent;
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

TEST(OwnSctpStackTest, AnIdleAssociationTakesAtMost4Kilobytes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the heap is the sanitizer's";
#endif
    std::vector<std::unique_ptr<SctpPair>> pairs;
    std::size_t before = 0;
    for (int i = 0; i < 120; ++i) {
        if (i == 20) before = mallinfo2().uordblks;
        pairs.push_back(std::make_unique<SctpPair>(1, far_link()));
        ASSERT_TRUE(pairs.back()->connect());
        pairs.back()->run_for(seconds(1));
    }
    // Of each pair the two ends, and what the test itself takes.
    const std::size_t each = (mallinfo2().uordblks - before) / 200;
    EXPECT_LT(each, 4096U);
}

}  // namespace
}  // namespace kollator::rtc
