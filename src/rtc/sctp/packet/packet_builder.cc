#include "rtc/sctp/packet/packet_builder.h"

#include <cstring>

#include "base/check.h"
#include "rtc/sctp/crc32c.h"

namespace kollator::rtc::sctp {

void PacketBuilder::begin(const CommonHeader& header) {
    store_u16(buffer_.data(), header.source_port);
    store_u16(buffer_.data() + 2, header.destination_port);
    store_u32(buffer_.data() + 4, header.tag);
    store_u32(buffer_.data() + 8, 0);
    size_ = kCommonHeaderBytes;
}

MutableByteSpan PacketBuilder::add(std::uint8_t type, std::uint8_t flags, std::size_t value_bytes) {
    KOLLATOR_CHECK(value_bytes <= room());
    std::uint8_t* const at = buffer_.data() + size_;
    const std::size_t length = kChunkHeaderBytes + value_bytes;
    at[0] = type;
    at[1] = flags;
    store_u16(at + 2, static_cast<std::uint16_t>(length));
    // RFC 9260 3.2: "The sender MUST NOT pad with more than 3 bytes", and with zeros.
    std::memset(at + length, 0, padded(length) - length);
    size_ += padded(length);
    return {at + kChunkHeaderBytes, value_bytes};
}

void PacketBuilder::add(std::uint8_t type, std::uint8_t flags, ByteSpan value) {
    const MutableByteSpan to = add(type, flags, value.size());
    if (!value.empty()) std::memcpy(to.data(), value.data(), value.size());
}

ByteSpan PacketBuilder::finish(Checksum checksum) {
    if (checksum == Checksum::kCrc32c) write_sctp_checksum({buffer_.data(), size_});
    return {buffer_.data(), size_};
}

}  // namespace kollator::rtc::sctp
