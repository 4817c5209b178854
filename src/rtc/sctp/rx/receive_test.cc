// What comes in: TSNs, fragments, streams, windows and when SACKs are due.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>

#include "base/random.h"
#include "rtc/sctp/packet/sack_chunk.h"
#include "rtc/sctp/rx/receiver.h"

namespace kollator::rtc::sctp {
namespace {

using std::chrono::milliseconds;
using Arrival = ReceiveTracker::Arrival;

TEST(ReceiveTracker, KeepsRangesAboveTheFirstHole) {
    ReceiveTracker tracker(100);
    const Tsn first = first_tsn(100);
    for (const int offset : {0, 2, 3, 6, 5}) tracker.add(first + static_cast<Tsn>(offset));
    EXPECT_EQ(tracker.cumulative(), first);
    EXPECT_EQ(tracker.ranges(),
              (std::vector<TsnRange>{{first + 2, first + 3}, {first + 5, first + 6}}));
    EXPECT_EQ(tracker.classify(first + 3), Arrival::kDuplicate);
    EXPECT_EQ(tracker.classify(first + 4), Arrival::kNew);
    EXPECT_EQ(tracker.classify(first - 5), Arrival::kDuplicate);
    EXPECT_EQ(tracker.classify(first + 70'000), Arrival::kTooFar);
    tracker.add(first + 4);
    EXPECT_EQ(tracker.ranges(), (std::vector<TsnRange>{{first + 2, first + 6}}));
    tracker.add(first + 1);
    EXPECT_EQ(tracker.cumulative(), first + 6);
    EXPECT_FALSE(tracker.has_gaps());
}

TEST(ReceiveTracker, AgreesWithASetWhateverTheOrder) {
    SeededRandom random(4);
    std::vector<std::uint32_t> order(3000);
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::size_t i = 1; i < order.size(); ++i) {  // near shuffles, so that ranges stay few
        std::swap(order[i], order[i - random.u32() % std::min<std::size_t>(i + 1, 200)]);
    }
    ReceiveTracker tracker(0xfffffff0);
    const Tsn first = first_tsn(0xfffffff0);
    std::vector<bool> has(order.size());
    std::size_t cumulative = 0;
    for (const std::uint32_t each : order) {
        ASSERT_EQ(tracker.classify(first + each), Arrival::kNew);
        tracker.add(first + each);
        ASSERT_EQ(tracker.classify(first + each), Arrival::kDuplicate);
        has[each] = true;
        while (cumulative < has.size() && has[cumulative]) ++cumulative;
        ASSERT_EQ(tracker.cumulative() + 1, first + cumulative);
    }
}

TEST(ReceiveTracker, HolesAreBounded) {
    ReceiveTracker tracker(0);
    std::size_t taken = 0;
    for (Tsn tsn = first_tsn(1); tsn < first_tsn(10'000); tsn += 2) {
        if (tracker.classify(tsn) != Arrival::kNew) continue;
        tracker.add(tsn);
        ++taken;
    }
    EXPECT_EQ(taken, 1024U);
    EXPECT_EQ(tracker.classify(first_tsn(0)), Arrival::kNew);  // what fills the first one is taken
}

TEST(ReceiveTracker, TheSackTellsAsManyHolesAsAPacketHolds) {
    ReceiveTracker tracker(0);
    for (Tsn tsn = first_tsn(1); tsn < first_tsn(1001); tsn += 2) tracker.add(tsn);
    PacketBuilder packet(1160);
    packet.begin({5000, 5000, 1});
    tracker.write_sack(packet, 0);
    ByteSpan rest = packet.finish(Checksum::kZero);
    ASSERT_TRUE(take_common_header(rest).has_value());
    const auto sack = SackChunk::parse(take_chunk(rest).value().value);
    ASSERT_TRUE(sack.has_value());
    EXPECT_EQ(sack->gap_count(), 256U);
}

TEST(ReceiveTracker, TheSackTellsRangesAndDuplicatesThatFit) {
    ReceiveTracker tracker(10);
    tracker.add(first_tsn(10));
    tracker.add(first_tsn(13));
    tracker.add_duplicate(first_tsn(10));
    PacketBuilder packet(200);
    packet.begin({});
    tracker.write_sack(packet, 5555);
    ByteSpan rest = packet.finish(Checksum::kZero).subspan(kCommonHeaderBytes);
    const auto sack = SackChunk::parse(take_chunk(rest)->value);
    ASSERT_TRUE(sack);
    EXPECT_EQ(sack->cumulative_tsn(), 10U);
    EXPECT_EQ(sack->window_bytes(), 5555U);
    ASSERT_EQ(sack->gap_count(), 1U);
    EXPECT_EQ(sack->gap(0), std::make_pair(std::uint16_t{3}, std::uint16_t{3}));
    EXPECT_EQ(sack->duplicate_count(), 1U);
    EXPECT_EQ(tracker.sack_bytes(), SackChunk::kHeaderBytes + 4);  // the duplicate is told
}

DataChunk fragment(std::uint8_t flags, const std::string& text, std::uint16_t ssn = 0,
                   std::uint16_t stream = 1) {
    DataChunk data;
    data.flags = flags;
    data.stream = stream;
    data.ssn = ssn;
    data.ppid = 53;
    data.payload = as_bytes(text);
    return data;
}

constexpr std::uint8_t kB = DataChunk::kBegin;
constexpr std::uint8_t kE = DataChunk::kEnd;
constexpr std::uint8_t kU = DataChunk::kUnordered;

class ReassemblyTest : public ::testing::Test {
 protected:
    std::string texts() const {
        std::string all;
        for (const ReceivedMessage& message : out) {
            all += std::string(as_text(message.bytes)) + "|";
        }
        return all;
    }
    Reassembly::Outcome add(Tsn tsn, const DataChunk& data) {
        return reassembly.add(tsn, data, out);
    }

    BufferPool pool;
    Reassembly reassembly{pool, 10'000};
    std::vector<ReceivedMessage> out;
};

TEST_F(ReassemblyTest, FragmentsInAnyOrderMakeTheMessage) {
    std::vector<int> order = {0, 1, 2, 3, 4};
    std::uint16_t ssn = 0;
    Tsn base = first_tsn(1);
    do {
        out.clear();
        for (const int each : order) {
            const std::uint8_t flags = static_cast<std::uint8_t>(each == 0   ? kB
                                                                 : each == 4 ? kE
                                                                             : 0);
            ASSERT_EQ(add(base + static_cast<Tsn>(each),
                          fragment(flags, std::string(1, static_cast<char>('a' + each)), ssn)),
                      Reassembly::Outcome::kOk);
        }
        ASSERT_EQ(texts(), "abcde|");
        ASSERT_EQ(reassembly.held_bytes(), 0U);
        ++ssn;
        base += 5;
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ReassemblyTest, OrderedMessagesWaitForTheirTurnAndUnorderedOnesDoNot) {
    add(3, fragment(kB | kE, "third", 2));
    add(2, fragment(kB | kE, "second", 1));
    add(4, fragment(kB | kE | kU, "free"));
    add(5, fragment(kB | kE, "other", 0, 9));
    EXPECT_EQ(texts(), "free|other|");
    EXPECT_GT(reassembly.held_bytes(), 0U);
    add(1, fragment(kB | kE, "first", 0));
    EXPECT_EQ(texts(), "free|other|first|second|third|");
    EXPECT_EQ(reassembly.held_bytes(), 0U);
}

TEST_F(ReassemblyTest, SkippedMessagesAreNotWaitedFor) {
    add(2, fragment(kB, "half", 0));
    add(5, fragment(kB | kE, "one", 1));
    add(6, fragment(kB | kE, "three", 3));
    reassembly.forward_to(3, 3);
    reassembly.skip(1, 0, out);
    EXPECT_EQ(texts(), "one|");
    reassembly.skip(1, 2, out);
    EXPECT_EQ(texts(), "one|three|");
    EXPECT_EQ(reassembly.held_bytes(), 0U);
}

TEST_F(ReassemblyTest, SkippingGoesOnWhereTheNumbersWrap) {
    for (Tsn tsn = 1; tsn <= 2; ++tsn) reassembly.skip(1, tsn == 1 ? 0x7fff : 0xfffd, out);
    add(10, fragment(kB | kE, "c", 0));
    add(11, fragment(kB | kE, "a", 0xffff));
    add(12, fragment(kB | kE, "e", 2));
    add(13, fragment(kB | kE, "d", 1));
    add(14, fragment(kB | kE, "f", 4));
    reassembly.skip(1, 0, out);
    EXPECT_EQ(texts(), "a|c|d|e|");
    reassembly.skip(1, 0xffff, out);  // behind by now
    add(15, fragment(kB | kE, "-", 3));
    EXPECT_EQ(texts(), "a|c|d|e|-|f|");
    EXPECT_EQ(reassembly.held_bytes(), 0U);
}

/// A FORWARD TSN chunk names as many numbers as fit a DTLS record, and the window holds as many
/// messages of a byte.
TEST_F(ReassemblyTest, ManySkipsCostNoMoreThanWhatTheyDeliver) {
    constexpr std::uint16_t kStreams = 2;
    for (std::uint16_t stream = 0; stream < kStreams; ++stream) {
        for (std::uint16_t ssn = 4001; ssn < 32'000; ++ssn) {
            add(ssn, fragment(kB | kE, "x", ssn, stream));
        }
    }
    const std::clock_t before = std::clock();
    for (std::uint16_t stream = 0; stream < kStreams; ++stream) {
        for (std::uint16_t ssn = 0; ssn < 4000; ++ssn) reassembly.skip(stream, ssn, out);
    }
    const auto seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    EXPECT_TRUE(out.empty());
    EXPECT_LT(seconds, 0.5);  // of this processor; many when each goes through all that waits
}

TEST_F(ReassemblyTest, WhatBeganBeforeTheSkipAndLiesBehindItIsDropped) {
    add(12, fragment(0, "orphan", 0));
    reassembly.forward_to(11, 12);
    EXPECT_EQ(reassembly.held_bytes(), 0U);
}

TEST_F(ReassemblyTest, AResetStreamBeginsAnewAtZero) {
    add(1, fragment(kB | kE, "a", 0));
    add(2, fragment(kB | kE, "late", 2));
    reassembly.reset_stream(1);
    EXPECT_EQ(reassembly.held_bytes(), 0U);
    add(3, fragment(kB | kE, "b", 0));
    EXPECT_EQ(texts(), "a|b|");
}

/// Buffers of the pool hold the largest message.
TEST_F(ReassemblyTest, WhatStaysTakesNoBufferMuchLargerThanItself) {
    constexpr std::size_t kLargest = 256 * 1024;
    const auto make = [](std::size_t size) {
        Bytes bytes;
        bytes.reserve(size);
        return bytes;
    };
    for (int i = 0; i < 8; ++i) pool.give_back(make(kLargest));
    Tsn tsn = 1;
    for (std::uint16_t ssn = 1; ssn < 6; ++ssn) {  // whole, and before their turn
        add(tsn++, fragment(kB | kE, "x", ssn));
        add(tsn++, fragment(kB, "y", ssn, 2));
        add(tsn++, fragment(kE, "z", ssn, 2));
    }
    EXPECT_EQ(pool.held_bytes(), 8 * kLargest);
    EXPECT_LT(reassembly.memory_bytes(), 10 * 400U);
    for (int i = 0; i < 20; ++i) {  // pieces that lack their ends
        add(tsn, fragment(kB, "half", 100, 3));
        add(tsn + 2, fragment(0, "of", 100, 3));
        tsn += 4;
    }
    EXPECT_EQ(pool.held_bytes(), 7 * kLargest);
    EXPECT_GT(reassembly.memory_bytes(), kLargest);
    EXPECT_LT(reassembly.memory_bytes(), kLargest + 50 * 400U);
    reassembly.forward_to(tsn, tsn);
    EXPECT_LT(reassembly.memory_bytes(), 10 * 400U);
}

/// The fragments that fill holes between others stay pieces until the message is whole.
TEST_F(ReassemblyTest, PiecesOfARunCountUntilItIsWhole) {
    for (Tsn tsn = 2; tsn < 2000; tsn += 2) add(tsn, fragment(0, "x"));
    for (Tsn tsn = 1999; tsn > 1; tsn -= 2) add(tsn, fragment(0, "x"));
    EXPECT_GT(reassembly.held_bytes(), 900 * Reassembly::kOverheadBytes);
    add(1, fragment(kB, "x"));
    add(2000, fragment(kE, "x"));
    EXPECT_EQ(out.size(), 1U);
    EXPECT_EQ(reassembly.memory_bytes(), 0U);
}

TEST_F(ReassemblyTest, AMessageOverTheLimitIsSeenBeforeItIsWhole) {
    const std::string part(6000, 'x');
    EXPECT_EQ(add(1, fragment(kB, part)), Reassembly::Outcome::kOk);
    EXPECT_EQ(add(2, fragment(0, part)), Reassembly::Outcome::kTooLarge);
}

TEST_F(ReassemblyTest, AFragmentOfAnotherStreamInTheMiddleIsAViolation) {
    EXPECT_EQ(add(1, fragment(kB, "a")), Reassembly::Outcome::kOk);
    EXPECT_EQ(add(2, fragment(kE, "b", 0, 2)), Reassembly::Outcome::kViolation);
}

class ReceiverTest : public ::testing::Test {
 protected:
    Receiver::Outcome take(std::uint32_t tsn, const std::string& text,
                           std::uint8_t flags = kB | kE | kU, std::uint16_t stream = 1) {
        DataChunk data = fragment(flags, text, 0, stream);
        data.tsn = tsn;
        return receiver.on_data(data, {undelivered, scarce}, out);
    }
    std::uint32_t told_window() {
        PacketBuilder packet(1160);
        packet.begin({});
        receiver.write_sack(packet, {undelivered, scarce});
        ByteSpan rest = packet.finish(Checksum::kZero).subspan(kCommonHeaderBytes);
        return SackChunk::parse(take_chunk(rest)->value)->window_bytes();
    }

    BufferPool pool;
    Receiver receiver{pool, {1, 20'000, 80'000, 10'000, 1160, 16}};
    std::vector<ReceivedMessage> out;
    std::size_t undelivered = 0;
    bool scarce = false;
    TimePoint now{std::chrono::hours(1)};
};

TEST_F(ReceiverTest, EverySecondPacketIsAcknowledgedAndALoneOneAfter20Milliseconds) {
    take(1, "a");
    EXPECT_FALSE(receiver.end_packet(now));
    EXPECT_FALSE(receiver.policy().due());
    EXPECT_EQ(receiver.policy().deadline(), now + milliseconds(20));
    receiver.policy().on_timeout(now + milliseconds(20));
    EXPECT_TRUE(receiver.policy().due());
    told_window();
    EXPECT_FALSE(receiver.policy().owed());
    take(2, "b");
    EXPECT_FALSE(receiver.end_packet(now));
    take(3, "c");
    EXPECT_TRUE(receiver.end_packet(now));
}

TEST_F(ReceiverTest, AHoleADuplicateAndTheImmediateFlagAreToldAtOnce) {
    take(2, "b");
    receiver.end_packet(now);
    EXPECT_TRUE(receiver.policy().due());
    told_window();
    take(1, "a");
    receiver.end_packet(now);
    EXPECT_TRUE(receiver.policy().due());
    told_window();
    take(1, "a");
    receiver.end_packet(now);
    EXPECT_TRUE(receiver.policy().due());
    told_window();
    take(3, "c", kB | kE | kU | DataChunk::kImmediate);
    EXPECT_TRUE(receiver.policy().due());
    EXPECT_EQ(out.size(), 3U);
}

TEST_F(ReceiverTest, TheWindowIsWhatIsFreeAndNeverSilly) {
    EXPECT_EQ(told_window(), 20'000U);
    undelivered = 15'000;
    EXPECT_EQ(told_window(), 5'000U);
    undelivered = 19'500;
    EXPECT_EQ(told_window(), 0U);
    receiver.check_window({19'000});
    EXPECT_FALSE(receiver.policy().due());
    receiver.check_window({10'000});
    EXPECT_TRUE(receiver.policy().due());
}

TEST_F(ReceiverTest, WhatComesOverTheWindowIsNotTakenUnlessItFillsAHole) {
    undelivered = 20'000;
    EXPECT_EQ(take(1, "x"), Receiver::Outcome::kOk);
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(receiver.cumulative(), first_tsn(0));
    undelivered = 0;
    take(2, "later");
    undelivered = 20'000;
    take(1, "hole");
    EXPECT_EQ(out.size(), 2U);
    EXPECT_EQ(receiver.cumulative(), first_tsn(2));
}

TEST_F(ReceiverTest, AnOldForwardTsnSkipsNothing) {
    take(1, "a", kB | kE);
    take(2, "b", kB | kE);  // of the same number: dropped
    receiver.reset_stream(1);
    Bytes value(8);
    store_u32(value.data(), 2);
    store_u16(value.data() + 4, 1);
    store_u16(value.data() + 6, 5);
    told_window();
    receiver.on_forward_tsn(*ForwardTsnChunk::parse(value), out);
    EXPECT_TRUE(receiver.policy().due());
    take(3, "anew", kB | kE);
    EXPECT_EQ(out.size(), 2U);
    store_u32(value.data(), 10);
    receiver.on_forward_tsn(*ForwardTsnChunk::parse(value), out);
    EXPECT_EQ(receiver.cumulative(), first_tsn(10));
}

TEST_F(ReceiverTest, WhileMemoryIsScarceOnlyWhatIsNextIsTakenBeyondALittle) {
    Receiver large{pool, {1, 1'000'000, 1'000'000, 200'000, 1160, 16}};
    const std::string payload(1000, 'x');
    DataChunk data = fragment(0, payload);
    const auto give = [&](std::uint32_t tsn, bool is_scarce) {
        data.tsn = tsn;
        data.flags = kU | (tsn == 1 ? kB : 0);
        EXPECT_EQ(large.on_data(data, {0, is_scarce}, out), Receiver::Outcome::kOk);
    };
    for (std::uint32_t tsn = 2; tsn < 400; ++tsn) give(tsn, true);
    const std::size_t taken = large.memory_bytes();
    EXPECT_GT(taken, 64'000U);
    EXPECT_LT(taken, 300'000U);  // buffers grow by doubling
    give(1, true);
    EXPECT_GT(large.cumulative(), first_tsn(60));
    EXPECT_LT(large.cumulative(), first_tsn(200));
    const auto next = static_cast<std::uint32_t>(large.cumulative()) + 1;
    give(next + 1, true);
    give(next, true);
    EXPECT_EQ(large.cumulative(), first_tsn(next)) << "the one behind it was not taken";
}

TEST_F(ReceiverTest, StreamsThatWereNotAgreedOnAndEmptyMessagesAreTold) {
    EXPECT_EQ(take(1, "x", kB | kE, 16), Receiver::Outcome::kBadStream);
    EXPECT_EQ(take(2, ""), Receiver::Outcome::kEmpty);
    EXPECT_TRUE(out.empty());
}

class ReceiveWindowTest : public ::testing::Test {
 protected:
    /// Bytes in a round trip of 50 ms, in packets over its time.
    void round(std::uint32_t bytes) {
        for (int i = 0; i < 10; ++i, now += milliseconds(5)) {
            window.on_arrived(bytes / 10, now, milliseconds(50));
            window.set_bytes(window.wanted(now));
        }
    }

    TimePoint now{std::chrono::hours(1)};
    ReceiveWindow window{500'000, 4'000'000};
};

TEST_F(ReceiveWindowTest, GrowsWhileAPeerFillsIt) {
    for (int i = 0; i < 6; ++i) round(window.bytes());
    EXPECT_EQ(window.bytes(), 4'000'000U);
}

TEST_F(ReceiveWindowTest, StaysForThoseWhoNeedNoMore) {
    for (int i = 0; i < 400; ++i) round(200'000);
    EXPECT_EQ(window.bytes(), 500'000U);
}

TEST_F(ReceiveWindowTest, KeepsWhatIsUsedAndGivesTheRestBack) {
    for (int i = 0; i < 6; ++i) round(window.bytes());
    for (int i = 0; i < 400; ++i) round(600'000);
    EXPECT_EQ(window.bytes(), 4'000'000U);
    for (int i = 0; i < 400; ++i) round(100'000);
    EXPECT_LE(window.bytes(), 1'000'000U);
    now += std::chrono::seconds(6);
    EXPECT_GE(window.wanted(now), 500'000U);
    now += std::chrono::seconds(6);
    EXPECT_EQ(window.wanted(now), 500'000U);
}

}  // namespace
}  // namespace kollator::rtc::sctp
