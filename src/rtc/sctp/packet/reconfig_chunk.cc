#include "rtc/sctp/packet/reconfig_chunk.h"

namespace kollator::rtc::sctp {
namespace {

constexpr std::uint16_t kOutgoingReset = 13;
constexpr std::uint16_t kIncomingReset = 14;
constexpr std::uint16_t kAllReset = 15;
constexpr std::uint16_t kResponse = 16;
constexpr std::uint16_t kAddOutgoing = 17;
constexpr std::uint16_t kAddIncoming = 18;

std::vector<std::uint16_t> take_streams(ByteReader& reader) {
    std::vector<std::uint16_t> streams;
    streams.reserve(reader.remaining() / 2);
    while (reader.remaining() >= 2) streams.push_back(reader.u16());
    return streams;
}

}  // namespace

std::optional<ReconfigParameter> take_reconfig(ByteSpan& rest) {
    const auto parameter = take_parameter(rest);
    if (!parameter) return std::nullopt;
    ByteReader reader(parameter->value);
    std::optional<ReconfigParameter> taken;
    if (parameter->type == kOutgoingReset) {
        OutgoingResetRequest request{reader.u32(), reader.u32(), reader.u32(), {}};
        request.streams = take_streams(reader);
        taken = std::move(request);
    } else if (parameter->type == kIncomingReset) {
        IncomingResetRequest request{reader.u32(), {}};
        request.streams = take_streams(reader);
        taken = std::move(request);
    } else if (parameter->type == kResponse) {
        const std::uint32_t sequence = reader.u32();
        taken = ReconfigResponse{sequence, static_cast<ResetResult>(reader.u32())};
    } else if (parameter->type == kAllReset || parameter->type == kAddOutgoing ||
               parameter->type == kAddIncoming) {
        taken = OtherReconfigRequest{reader.u32()};
    }
    return reader.ok() ? taken : std::nullopt;
}

void append_reconfig(Bytes& out, const OutgoingResetRequest& request) {
    Bytes value;
    ByteWriter writer(value);
    writer.u32(request.sequence);
    writer.u32(request.answers_sequence);
    writer.u32(request.last_tsn);
    for (const std::uint16_t stream : request.streams) writer.u16(stream);
    append_parameter(out, kOutgoingReset, value);
}

void append_reconfig(Bytes& out, const ReconfigResponse& response) {
    Bytes value;
    ByteWriter writer(value);
    writer.u32(response.sequence);
    writer.u32(static_cast<std::uint32_t>(response.result));
    append_parameter(out, kResponse, value);
}

}  // namespace kollator::rtc::sctp
