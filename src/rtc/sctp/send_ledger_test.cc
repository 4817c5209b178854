#include "rtc/sctp/send_ledger.h"

#include <gtest/gtest.h>

#include <vector>

namespace kollator::rtc {
namespace {

constexpr std::size_t kCapacity = 10'000;

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
    ledger.on_packet_out(data_packet({{7, 1001}}));
    ledger.on_packet_out(data_packet({{8, 1000}}));
    EXPECT_EQ(ledger.buffered_bytes(), 2001U);
    EXPECT_FALSE(ledger.on_packet_in(sack_packet(6)));
    EXPECT_TRUE(ledger.on_packet_in(sack_packet(7)));
    EXPECT_EQ(ledger.buffered_bytes(), 1000U);
    EXPECT_EQ(ledger.buffered_messages(), 1U);
    EXPECT_FALSE(ledger.on_packet_in(sack_packet(7)));
    EXPECT_TRUE(ledger.on_packet_in(sack_packet(8)));
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
    EXPECT_EQ(ledger.buffered_messages(), 0U);
}

TEST(SendLedger, ARetransmissionCountsOnce) {
    SendLedger ledger(kCapacity);
    ledger.add_message(30);
    ledger.on_packet_out(data_packet({{1, 10}, {2, 10}}));
    ledger.on_packet_out(data_packet({{1, 10}, {3, 10}}));
    ledger.on_packet_in(sack_packet(3));
    EXPECT_EQ(ledger.buffered_bytes(), 0U);
}

TEST(SendLedger, TransmissionNumbersWrap) {
    SendLedger ledger(kCapacity);
    ledger.add_message(30);
    ledger.on_packet_out(data_packet({{0xfffffffe, 10}, {0xffffffff, 10}, {0, 10}}));
    ledger.on_packet_in(sack_packet(0xffffffff));
    EXPECT_EQ(ledger.buffered_bytes(), 10U);
    ledger.on_packet_in(sack_packet(0));
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
        ledger.on_packet_out(ByteSpan(data).first(size));
    }
    for (std::size_t size = 0; size < sack.size(); ++size) {
        EXPECT_FALSE(ledger.on_packet_in(ByteSpan(sack).first(size)));
    }
    Bytes endless(64, 0);  // chunks of length 0
    EXPECT_FALSE(ledger.on_packet_in(endless));
    EXPECT_TRUE(ledger.buffered_bytes() == 10U || ledger.buffered_bytes() == 0U);
    ledger.on_packet_in(sack);
    EXPECT_LE(ledger.buffered_bytes(), kCapacity);
}

}  // namespace
}  // namespace kollator::rtc
