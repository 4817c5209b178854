#include "rtc/channel/dcep.h"

#include "base/check.h"

namespace kollator::rtc {
namespace {

constexpr std::uint8_t kUnorderedBit = 0x80;
constexpr std::uint8_t kLastReliability = static_cast<std::uint8_t>(Reliability::kMaxLifetime);

Error invalid(const char* what) {
    return make_error(ErrorCode::kInvalid, what);
}

}  // namespace

Result<DcepType> dcep_type(ByteSpan message) {
    if (message.empty()) return invalid("dcep: empty");
    switch (static_cast<DcepType>(message[0])) {
        case DcepType::kAck:
            return DcepType::kAck;
        case DcepType::kOpen:
            return DcepType::kOpen;
    }
    return invalid("dcep: unknown message type");
}

Result<DcepOpen> parse_dcep_open(ByteSpan message) {
    ByteReader reader(message);
    const std::uint8_t type = reader.u8();
    const std::uint8_t channel_type = reader.u8();
    DcepOpen open;
    open.priority = reader.u16();
    open.reliability_parameter = reader.u32();
    const std::uint16_t label_bytes = reader.u16();
    const std::uint16_t protocol_bytes = reader.u16();
    if (!reader.ok()) return invalid("dcep: truncated");
    if (type != static_cast<std::uint8_t>(DcepType::kOpen)) return invalid("dcep: not an OPEN");
    const auto reliability = static_cast<std::uint8_t>(channel_type & ~kUnorderedBit);
    if (reliability > kLastReliability) return invalid("dcep: unknown channel type");
    if (label_bytes > kMaxChannelNameBytes || protocol_bytes > kMaxChannelNameBytes) {
        return make_error(ErrorCode::kLimit, "dcep: label or protocol is too long");
    }
    open.label = as_text(reader.bytes(label_bytes));
    open.protocol = as_text(reader.bytes(protocol_bytes));
    if (!reader.ok()) return invalid("dcep: truncated");
    if (reader.remaining() != 0) return invalid("dcep: bytes after the protocol");
    open.ordered = (channel_type & kUnorderedBit) == 0;
    open.reliability = static_cast<Reliability>(reliability);
    return open;
}

Bytes build_dcep_open(const DcepOpen& open) {
    KOLLATOR_CHECK(open.label.size() <= kMaxChannelNameBytes &&
                   open.protocol.size() <= kMaxChannelNameBytes);
    Bytes message;
    ByteWriter writer(message);
    writer.u8(static_cast<std::uint8_t>(DcepType::kOpen));
    writer.u8(static_cast<std::uint8_t>(static_cast<std::uint8_t>(open.reliability) |
                                        (open.ordered ? 0 : kUnorderedBit)));
    writer.u16(open.priority);
    writer.u32(open.reliability_parameter);
    writer.u16(static_cast<std::uint16_t>(open.label.size()));
    writer.u16(static_cast<std::uint16_t>(open.protocol.size()));
    writer.bytes(as_bytes(open.label));
    writer.bytes(as_bytes(open.protocol));
    return message;
}

Bytes build_dcep_ack() {
    return {static_cast<std::uint8_t>(DcepType::kAck)};
}

}  // namespace kollator::rtc
