#include "rtc/channel/dcep.h"

#include <gtest/gtest.h>

#include <string>

namespace kollator::rtc {
namespace {

DcepOpen example() {
    DcepOpen open;
    open.ordered = false;
    open.reliability = Reliability::kMaxRetransmits;
    open.reliability_parameter = 0x01020304;
    open.priority = 512;
    open.label = "label";
    open.protocol = "proto";
    return open;
}

TEST(Dcep, AnOpenHasTheLayoutOfTheRfc) {
    EXPECT_EQ(to_hex(build_dcep_open(example())),
              "03"        // DATA_CHANNEL_OPEN
              "81"        // unordered, limited retransmissions
              "0200"      // priority
              "01020304"  // retransmissions
              "00050005"
              "6c6162656c"
              "70726f746f");
}

TEST(Dcep, WhatIsBuiltIsParsedAgain) {
    for (const bool ordered : {true, false}) {
        for (const auto reliability :
             {Reliability::kReliable, Reliability::kMaxRetransmits, Reliability::kMaxLifetime}) {
            DcepOpen open = example();
            open.ordered = ordered;
            open.reliability = reliability;
            const auto parsed = parse_dcep_open(build_dcep_open(open));
            ASSERT_TRUE(parsed.ok());
            EXPECT_EQ(*parsed, open);
        }
    }
}

TEST(Dcep, EmptyNamesAreFine) {
    const auto parsed = parse_dcep_open(build_dcep_open({}));
    ASSERT_TRUE(parsed.ok());
    EXPECT_TRUE(parsed->label.empty());
    EXPECT_TRUE(parsed->ordered);
}

TEST(Dcep, EveryTruncationIsRefused) {
    const Bytes whole = build_dcep_open(example());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto parsed = parse_dcep_open(ByteSpan(whole).first(size));
        ASSERT_FALSE(parsed.ok()) << size;
        EXPECT_EQ(parsed.error().code, ErrorCode::kInvalid);
    }
}

TEST(Dcep, BytesAfterTheProtocolAreRefused) {
    Bytes message = build_dcep_open(example());
    message.push_back(0);
    EXPECT_FALSE(parse_dcep_open(message).ok());
}

TEST(Dcep, UnknownChannelTypesAreRefused) {
    Bytes message = build_dcep_open(example());
    for (int type = 0; type < 256; ++type) {
        message[1] = static_cast<std::uint8_t>(type);
        EXPECT_EQ(parse_dcep_open(message).ok(), (type & 0x7f) <= 2) << type;
    }
}

TEST(Dcep, OverlongNamesAreRefusedAsALimit) {
    DcepOpen open = example();
    open.label = std::string(kMaxChannelNameBytes, 'x');
    Bytes message = build_dcep_open(open);
    EXPECT_TRUE(parse_dcep_open(message).ok());
    store_u16(message.data() + 8, kMaxChannelNameBytes + 1);
    message.push_back('x');
    const auto parsed = parse_dcep_open(message);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, ErrorCode::kLimit);
}

TEST(Dcep, TheTypeTellsOpenFromAck) {
    EXPECT_EQ(*dcep_type(build_dcep_ack()), DcepType::kAck);
    EXPECT_EQ(*dcep_type(build_dcep_open({})), DcepType::kOpen);
    EXPECT_FALSE(dcep_type({}).ok());
    EXPECT_FALSE(dcep_type(Bytes{0x00}).ok());
    EXPECT_FALSE(parse_dcep_open(build_dcep_ack()).ok());
}

}  // namespace
}  // namespace kollator::rtc
