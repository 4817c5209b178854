#include "rtc/sctp/tx/outstanding.h"

#include <gtest/gtest.h>

#include <chrono>

#include "rtc/sctp/packet/packet_builder.h"

namespace kollator::rtc::sctp {
namespace {

constexpr std::uint32_t kFirst = 1000;
constexpr std::size_t kChunks = 120;

class OutstandingTest : public ::testing::Test {
 protected:
    void SetUp() override {
        MessageRef message(new OutMessage);
        message->size_bytes = 10 * kChunks;
        for (std::uint32_t i = 0; i < kChunks; ++i) {
            outstanding.add({message, 10 * i, 10}, now, i + 1);
        }
    }
    /// A SACK without the first TSN, and then with `gaps` of every second one.
    void acknowledge(std::size_t gaps) {
        Bytes value(SackChunk::kHeaderBytes + 4 * gaps);
        store_u32(value.data(), kFirst - 1);
        store_u16(value.data() + 8, static_cast<std::uint16_t>(gaps));
        for (std::size_t i = 0; i < gaps; ++i) {
            const auto offset = static_cast<std::uint16_t>(2 * i + 2);
            store_u16(value.data() + SackChunk::kHeaderBytes + 4 * i, offset);
            store_u16(value.data() + SackChunk::kHeaderBytes + 4 * i + 2, offset);
        }
        const auto sack = SackChunk::parse(value);
        ASSERT_TRUE(sack.has_value());
        outstanding.on_sack(*sack, now, RoundTrip());
    }
    std::size_t count_lost() {
        std::size_t lost = 0;
        for (std::size_t i = 0; i < kChunks; ++i) {
            const auto state = outstanding.chunk(first_tsn(kFirst) + i).state;
            lost += state == Outstanding::State::kLost;
        }
        return lost;
    }

    TimePoint now{std::chrono::hours(1)};
    Outstanding outstanding{kFirst};
};

TEST_F(OutstandingTest, ATimeoutDoesNotDoubtWhatALongListLeavesOut) {
    acknowledge(60);
    acknowledge(20);  // as peers do that list no more
    outstanding.lose_all(false);
    EXPECT_EQ(count_lost(), kChunks - 60);
}

TEST_F(OutstandingTest, ASecondTimeoutDoubtsIt) {
    acknowledge(60);
    acknowledge(20);
    outstanding.lose_all(true);
    EXPECT_EQ(count_lost(), kChunks - 20);
}

TEST_F(OutstandingTest, WhatAShortListLeavesOutWasThrownAway) {
    acknowledge(60);
    acknowledge(3);
    outstanding.lose_all(false);
    EXPECT_EQ(count_lost(), kChunks - 3);
}

}  // namespace
}  // namespace kollator::rtc::sctp
