// The association by itself: handshakes that lose packets, RFC 9653, FORWARD TSN, timers, memory.
#include <gtest/gtest.h>
#include <malloc.h>

#include <string>

#include "rtc/sctp/packet/init_chunk.h"
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
