#include "rtc/sctp/send_ledger.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace kollator::rtc {
namespace {

constexpr std::size_t kCapacity = 10'000;
constexpr TimePoint kNow{std::chrono::hours(1)};

struct Chunk {
    std::uint32_t tsn;
    std::size_t size;
};

Bytes data_packet(const std::vector<Chunk>& chunks) {
    Bytes packet(12);
    ByteWriter writer(packet);
    for (const Chunk& chunk : chunks) {
        writer.u8(0);
        writer.u8(3);
        writer.u16(static_cast<std::uint16_t>(16 + chunk.size));
        writer.u32(chunk.tsn);
        writer.u64(0);
        writer.bytes(Bytes((chunk.size + 3) / 4 * 4, 0));
    }
    return packet;
}

Bytes sack_packet(std::uint32_t cumulative) {
    Bytes packet(12);
    ByteWriter writer(packet);
    writer.u8(3);
    writer.u8(0);
    writer.u16(16);
    writer.u32(cumulative);
    writer.u64(0);
    return packet;
}

TEST(SendLedger, WhatIsSentIsBufferedUntilItIsAcknowledged) {
    SendLedger ledger(kCapacity);
    ledger.add_message(2001);
    EXPECT_EQ(ledger.buffered_bytes(), 2001U);
    EXPECT_EQ(ledger.free_bytes(), kCapacity - 2001);
    ledger.on_packet_out(data_packet({{7, 1001}}), kNow);
    ledger.on_packet_out(data_packet({{8, 1000}}), kNow);
    EXPECT_EQ(ledger.buffered_bytes(), 2001U);
    EXPECT_EQ(ledger.on_packet_in(sack_packet(6), kNow).bytes, 0U);
    EXPECT_GT(ledger.on_packet_in(sack_packet(7), kNow).bytes, 0U);
    EXPECT_EQ(ledger.buffered_bytes(), 1000U);
    EXPECT_EQ(ledger.in_flight_bytes(), 1000U);
    EXPECT_EQ(ledger.buffered_messages(), 1U);
    EXPECT_EQ(ledger.on_packet_in(sack_packet(7), kNow).bytes, 0U);
    EXPECT_GT(ledger.on_packet_in(sack_packet(8), kNow).bytes, 0U);
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
    EXPECT_EQ(ledger.buffered_messages(), 0U);
}

TEST(SendLedger, ARetransmissionCountsOnce) {
    SendLedger ledger(kCapacity);
    ledger.add_message(30);
    ledger.on_packet_out(data_packet({{1, 10}, {2, 10}}), kNow);
    ledger.on_packet_out(data_packet({{1, 10}, {3, 10}}), kNow);
    (void)ledger.on_packet_in(sack_packet(3), kNow);
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
}

TEST(SendLedger, TimesAChunkThatWasSentOnce) {
    SendLedger ledger(kCapacity);
    ledger.add_message(30);
    ledger.on_packet_out(data_packet({{1, 10}}), kNow);
    ledger.on_packet_out(data_packet({{2, 10}}), kNow + std::chrono::milliseconds(1));
    const auto first = ledger.on_packet_in(sack_packet(1), kNow + std::chrono::milliseconds(7));
    EXPECT_EQ(first.round_trip, std::chrono::milliseconds(7));
    // The second was sent while the first was timed.
    const auto second = ledger.on_packet_in(sack_packet(2), kNow + std::chrono::milliseconds(9));
    EXPECT_EQ(second.bytes, 10U);
    EXPECT_FALSE(second.round_trip);
    EXPECT_EQ(ledger.retransmitted_bytes(), 0U);
}

TEST(SendLedger, DoesNotTimeAChunkThatWasSentAgain) {
    SendLedger ledger(kCapacity);
    ledger.add_message(10);
    ledger.on_packet_out(data_packet({{1, 10}}), kNow);
    ledger.on_packet_out(data_packet({{1, 10}}), kNow + std::chrono::milliseconds(5));
    EXPECT_EQ(ledger.retransmitted_bytes(), 10U);
    const auto told = ledger.on_packet_in(sack_packet(1), kNow + std::chrono::milliseconds(7));
    EXPECT_EQ(told.bytes, 10U);
    EXPECT_FALSE(told.round_trip);
}

TEST(SendLedger, ABufferMayGrowAndShrinkWhileItIsFull) {
    SendLedger ledger(kCapacity);
    ledger.add_message(kCapacity);
    EXPECT_EQ(ledger.free_bytes(), 0U);
    ledger.set_capacity(2 * kCapacity);
    EXPECT_EQ(ledger.free_bytes(), kCapacity);
    ledger.set_capacity(kCapacity / 2);
    EXPECT_EQ(ledger.free_bytes(), 0U);
    EXPECT_EQ(ledger.buffered_bytes(), kCapacity);
}

TEST(SendLedger, TransmissionNumbersWrap) {
    SendLedger ledger(kCapacity);
    ledger.add_message(30);
    ledger.on_packet_out(data_packet({{0xfffffffe, 10}, {0xffffffff, 10}, {0, 10}}), kNow);
    (void)ledger.on_packet_in(sack_packet(0xffffffff), kNow);
    EXPECT_EQ(ledger.buffered_bytes(), 10U);
    (void)ledger.on_packet_in(sack_packet(0), kNow);
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
}

TEST(SendLedger, ARefusedMessageIsTakenBack) {
    SendLedger ledger(kCapacity);
    ledger.add_message(100);
    ledger.add_message(50);
    ledger.take_back_message(50);
    EXPECT_EQ(ledger.buffered_bytes(), 100U);
    EXPECT_EQ(ledger.buffered_messages(), 1U);
}

TEST(SendLedger, ResyncPutsRightWhatWasGivenUp) {
    SendLedger ledger(kCapacity);
    ledger.add_message(100);
    ledger.add_message(50);
    ledger.resync(kCapacity - 50);
    EXPECT_EQ(ledger.buffered_bytes(), 50U);
    EXPECT_EQ(ledger.buffered_messages(), 1U);
    ledger.resync(2 * kCapacity);
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
}

TEST(SendLedger, TruncatedAndAbsurdPacketsDoNoHarm) {
    SendLedger ledger(kCapacity);
    ledger.add_message(10);
    const Bytes data = data_packet({{1, 10}});
    const Bytes sack = sack_packet(99);
    for (std::size_t size = 0; size < data.size(); ++size) {
        ledger.on_packet_out(ByteSpan(data).first(size), kNow);
    }
    for (std::size_t size = 0; size < sack.size(); ++size) {
        EXPECT_EQ(ledger.on_packet_in(ByteSpan(sack).first(size), kNow).bytes, 0U);
    }
    Bytes endless(64, 0);  // chunks of length 0
    EXPECT_EQ(ledger.on_packet_in(endless, kNow).bytes, 0U);
    EXPECT_TRUE(ledger.buffered_bytes() == 10U || ledger.buffered_bytes() == 0U);
    (void)ledger.on_packet_in(sack, kNow);
    EXPECT_LE(ledger.buffered_bytes(), kCapacity);
}

}  // namespace
}  // namespace kollator::rtc
