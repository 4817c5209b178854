#include "rtc/sctp/crc32c.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kollator::rtc {
namespace {

TEST(Crc32c, KnowsThePublishedVectors) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
    // RFC 3720 B.4
    EXPECT_EQ(crc32c(Bytes(32, 0x00)), 0x8a9136aaU);
    EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43U);
    EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, TheInstructionAndTheTableAgreeAtEveryLengthAndAlignment) {
    SeededRandom random(1);
    Bytes bytes(300);
    random.fill(bytes);
    for (std::size_t offset = 0; offset < 9; ++offset) {
        for (std::size_t size = 0; size + offset <= bytes.size(); ++size) {
            const ByteSpan part = ByteSpan(bytes).subspan(offset, size);
            ASSERT_EQ(crc32c(part), crc32c_portable(part)) << offset << " " << size;
        }
    }
}

TEST(Crc32c, TheChecksumFieldIsZeroWhileItIsComputedAndLittleEndian) {
    Bytes packet(40, 0x11);
    Bytes zeroed = packet;
    for (std::size_t i = 8; i < 12; ++i) zeroed[i] = 0;
    const std::uint32_t expected = crc32c_portable(zeroed);
    write_sctp_checksum(packet);
    EXPECT_EQ(packet[8], expected & 0xff);
    EXPECT_EQ(packet[11], expected >> 24);
    const Bytes once = packet;
    write_sctp_checksum(packet);
    EXPECT_EQ(packet, once);
}

}  // namespace
}  // namespace kollator::rtc
