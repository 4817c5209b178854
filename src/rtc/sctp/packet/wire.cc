#include "rtc/sctp/packet/wire.h"

#include <algorithm>

namespace kollator::rtc::sctp {
namespace {

/// The length field at bytes 2 and 3 counts the header of 4, not the padding. Gives it, and moves
/// `rest` on; 0 where it is wrong.
std::size_t take_length(ByteSpan& rest, ByteSpan& whole) {
    if (rest.size() < kChunkHeaderBytes) return 0;
    const std::size_t length = load_u16(rest.data() + 2);
    if (length < kChunkHeaderBytes || length > rest.size()) return 0;
    whole = rest.first(length);
    rest = rest.subspan(std::min(padded(length), rest.size()));
    return length;
}

}  // namespace

std::optional<CommonHeader> take_common_header(ByteSpan& packet) {
    if (packet.size() < kCommonHeaderBytes) return std::nullopt;
    CommonHeader header;
    header.source_port = load_u16(packet.data());
    header.destination_port = load_u16(packet.data() + 2);
    header.tag = load_u32(packet.data() + 4);
    packet = packet.subspan(kCommonHeaderBytes);
    return header;
}

std::optional<Chunk> take_chunk(ByteSpan& rest) {
    ByteSpan whole;
    if (take_length(rest, whole) == 0) return std::nullopt;
    return Chunk{whole[0], whole[1], whole.subspan(kChunkHeaderBytes)};
}

std::optional<Parameter> take_parameter(ByteSpan& rest) {
    ByteSpan whole;
    if (take_length(rest, whole) == 0) return std::nullopt;
    return Parameter{load_u16(whole.data()), whole.subspan(kChunkHeaderBytes), whole};
}

void append_parameter(Bytes& out, std::uint16_t type, ByteSpan value) {
    ByteWriter writer(out);
    writer.u16(type);
    writer.u16(static_cast<std::uint16_t>(kChunkHeaderBytes + value.size()));
    writer.bytes(value);
    out.resize(out.size() + padded(value.size()) - value.size());
}

}  // namespace kollator::rtc::sctp
