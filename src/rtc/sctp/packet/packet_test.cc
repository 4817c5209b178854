// Chunks and parameters: what is written is read again, and no length reads past the end.
#include <gtest/gtest.h>

#include "rtc/sctp/crc32c.h"
#include "rtc/sctp/packet/data_chunk.h"
#include "rtc/sctp/packet/forward_tsn_chunk.h"
#include "rtc/sctp/packet/init_chunk.h"
#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/packet/reconfig_chunk.h"
#include "rtc/sctp/packet/sack_chunk.h"
#include "rtc/sctp/packet/tsn.h"

namespace kollator::rtc::sctp {
namespace {

TEST(SctpPacket, AHeaderAndPaddedChunksAreReadBack) {
    PacketBuilder packet(64);
    packet.begin({5000, 5001, 0x01020304});
    EXPECT_TRUE(packet.empty());
    EXPECT_EQ(packet.room(), 48U);
    packet.add(chunk_type::kData, 3, as_bytes("abcde"));
    packet.add(chunk_type::kCookieAck, 0, ByteSpan{});
    EXPECT_EQ(packet.room(), 32U);
    const ByteSpan whole = packet.finish(Checksum::kCrc32c);
    EXPECT_EQ(to_hex(whole.subspan(0, 8)), "1388138901020304");
    EXPECT_EQ(to_hex(whole.subspan(12)),
              "000300096162636465000000"
              "0b000004");
    Bytes copy(whole.begin(), whole.end());
    write_sctp_checksum(copy);
    EXPECT_EQ(Bytes(whole.begin(), whole.end()), copy);

    ByteSpan rest = whole;
    const auto header = take_common_header(rest);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->destination_port, 5001);
    const auto first = take_chunk(rest);
    ASSERT_TRUE(first);
    EXPECT_EQ(as_text(first->value), "abcde");
    EXPECT_EQ(take_chunk(rest)->type, chunk_type::kCookieAck);
    EXPECT_FALSE(take_chunk(rest));
}

TEST(SctpPacket, AZeroChecksumIsLeftZero) {
    PacketBuilder packet(64);
    packet.begin({5000, 5000, 7});
    packet.add(chunk_type::kCookieAck, 0, ByteSpan{});
    EXPECT_EQ(to_hex(packet.finish(Checksum::kZero).subspan(8, 4)), "00000000");
}

TEST(SctpPacket, WrongLengthsEndTheChunks) {
    for (const char* hex : {"00000003", "0000000500", "000000ff00000000", "0000", "000000"}) {
        const Bytes bytes = *from_hex(hex);
        ByteSpan rest = bytes;
        if (std::string_view(hex) == "0000000500") continue;  // a last chunk without its padding
        EXPECT_FALSE(take_chunk(rest)) << hex;
    }
    const Bytes unpadded = *from_hex("0000000500");
    ByteSpan rest = unpadded;
    EXPECT_TRUE(take_chunk(rest));
    EXPECT_TRUE(rest.empty());
}

InitChunk full_init() {
    InitChunk init;
    init.tag = 1;
    init.window_bytes = 2;
    init.outgoing_streams = 3;
    init.incoming_streams = 4;
    init.tsn = 5;
    init.cookie = {9, 8, 7};
    init.forward_tsn = init.reconfig = init.zero_checksum = true;
    return init;
}

TEST(SctpInit, IsReadBackWithItsParameters) {
    const auto read = parse_init(build_init(full_init()));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->tag, 1U);
    EXPECT_EQ(read->window_bytes, 2U);
    EXPECT_EQ(read->outgoing_streams, 3);
    EXPECT_EQ(read->incoming_streams, 4);
    EXPECT_EQ(read->tsn, 5U);
    EXPECT_EQ(read->cookie, (Bytes{9, 8, 7}));
    EXPECT_TRUE(read->forward_tsn && read->reconfig && read->zero_checksum);
    EXPECT_TRUE(read->unrecognized.empty());
}

TEST(SctpInit, EveryTruncationIsRefusedOrReadInPart) {
    const Bytes whole = build_init(full_init());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(parse_init(ByteSpan(whole).first(size)).ok(), size >= 16) << size;
    }
}

TEST(SctpInit, NoTagOrNoStreamsAreRefused) {
    for (const int which : {0, 1, 2}) {
        InitChunk init = full_init();
        if (which == 0) init.tag = 0;
        if (which == 1) init.outgoing_streams = 0;
        if (which == 2) init.incoming_streams = 0;
        EXPECT_FALSE(parse_init(build_init(init)).ok()) << which;
    }
}

TEST(SctpInit, UnknownParametersAreSkippedReportedOrEndTheReading) {
    // RFC 9260 3.2.1, by the two highest bits; each is followed by Forward-TSN-Supported.
    const struct {
        std::uint16_t type;
        bool goes_on;
        bool reported;
    } cases[] = {
        {0x0ff0, false, false}, {0x4ff0, false, true}, {0x8ff0, true, false}, {0xcff0, true, true}};
    for (const auto& each : cases) {
        InitChunk plain = full_init();
        plain.cookie.clear();
        plain.forward_tsn = plain.reconfig = plain.zero_checksum = false;
        Bytes value = build_init(plain);
        append_parameter(value, each.type, as_bytes("x"));
        append_parameter(value, 0xc000, {});
        const auto read = parse_init(value);
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(read->forward_tsn, each.goes_on) << each.type;
        EXPECT_EQ(!read->unrecognized.empty(), each.reported) << each.type;
    }
}

TEST(SctpInit, AnotherErrorDetectionMethodIsNoLeaveForZeroChecksums) {
    Bytes value = build_init(full_init());
    value.back() = 2;
    EXPECT_FALSE(parse_init(value)->zero_checksum);
}

TEST(SctpSack, CountsThatDoNotFitAreRefused) {
    Bytes value(SackChunk::kHeaderBytes + 8);
    store_u32(value.data(), 77);
    store_u16(value.data() + 8, 1);
    store_u16(value.data() + 10, 1);
    store_u16(value.data() + 12, 2);
    store_u16(value.data() + 14, 3);
    const auto sack = SackChunk::parse(value);
    ASSERT_TRUE(sack);
    EXPECT_EQ(sack->cumulative_tsn(), 77U);
    EXPECT_EQ(sack->gap(0), std::make_pair(std::uint16_t{2}, std::uint16_t{3}));
    for (std::size_t size = 0; size < value.size(); ++size) {
        EXPECT_FALSE(SackChunk::parse(ByteSpan(value).first(size))) << size;
    }
}

TEST(SctpReconfig, RequestsAndResponsesAreReadBack) {
    Bytes value;
    append_reconfig(value, OutgoingResetRequest{1, 2, 3, {4, 5, 6}});
    append_reconfig(value, ReconfigResponse{7, ResetResult::kInProgress});
    ByteSpan rest = value;
    const auto first = take_reconfig(rest);
    ASSERT_TRUE(first);
    const auto& request = std::get<OutgoingResetRequest>(*first);
    EXPECT_EQ(request.sequence, 1U);
    EXPECT_EQ(request.answers_sequence, 2U);
    EXPECT_EQ(request.last_tsn, 3U);
    EXPECT_EQ(request.streams, (std::vector<std::uint16_t>{4, 5, 6}));
    const auto second = take_reconfig(rest);
    ASSERT_TRUE(second);
    EXPECT_EQ(std::get<ReconfigResponse>(*second).result, ResetResult::kInProgress);
    EXPECT_FALSE(take_reconfig(rest));
}

TEST(SctpReconfig, TruncatedParametersAreRefused) {
    Bytes value;
    append_reconfig(value, OutgoingResetRequest{1, 2, 3, {}});
    for (std::size_t size = 0; size < value.size(); ++size) {
        Bytes part(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size));
        if (size >= 4) store_u16(part.data() + 2, static_cast<std::uint16_t>(size));
        ByteSpan rest = part;
        EXPECT_FALSE(take_reconfig(rest)) << size;
    }
}

TEST(SctpTsn, WrapsWithoutAJump) {
    const Tsn first = first_tsn(0xfffffffe);
    EXPECT_EQ(unwrap_tsn(0xffffffff, first), first + 1);
    EXPECT_EQ(unwrap_tsn(1, first), first + 3);
    EXPECT_EQ(unwrap_tsn(0xfffffff0, first + 3), first - 14);
    EXPECT_EQ(unwrap_tsn(0xffffffff, first_tsn(0)), first_tsn(0) - 1);
}

}  // namespace
}  // namespace kollator::rtc::sctp
