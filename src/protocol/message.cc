#include "protocol/message.h"

#include <fmt/format.h>

#include <algorithm>

namespace kollator::protocol {

bool is_known(MessageType type) {
    return static_cast<std::size_t>(type) < kMessageTypes;
}

std::string_view to_string(MessageType type) {
    static constexpr std::array<std::string_view, kMessageTypes> kNames = {
        "HELLO",        "CHUNK_REQUEST", "CHUNK_RESPONSE", "CHUNK_STORE",    "CHUNK_LIST",
        "DHT_ANNOUNCE", "HEALTH_CHECK",  "DHT_LOOKUP",     "METADATA_STORE", "METADATA_REQUEST",
        "AUTH",         "CANCEL",        "CHUNK_STAT"};
    return is_known(type) ? kNames[static_cast<std::size_t>(type)] : "UNKNOWN";
}

MessageType answer_type(MessageType request) {
    return request == MessageType::kChunkRequest ? MessageType::kChunkResponse : request;
}

std::optional<Header> peek_header(ByteSpan bytes) {
    if (bytes.size() < kHeaderBytes) return std::nullopt;
    return Header{static_cast<MessageType>(bytes[0]), Flags::from_bits(bytes[1]),
                  RequestId{load_u32(bytes.data() + 2)}};
}

Result<Message> decode_message(ByteSpan bytes) {
    const auto header = peek_header(bytes);
    if (!header) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("a message of {} bytes has no header", bytes.size()));
    }
    if (header->flags.has_unknown()) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("unknown flags 0x{:02x}", header->flags.bits()));
    }
    if (!header->flags.has(Flag::kResponse)) {
        if (header->flags.has(Flag::kError)) {
            return make_error(ErrorCode::kInvalid, "ERROR in a request");
        }
        if (header->type == MessageType::kChunkResponse) {
            return make_error(ErrorCode::kInvalid, "CHUNK_RESPONSE without RESPONSE");
        }
    }
    return Message{*header, bytes.subspan(kHeaderBytes)};
}

std::array<std::uint8_t, kHeaderBytes> encode_header(const Header& header) {
    std::array<std::uint8_t, kHeaderBytes> bytes{};
    bytes[0] = static_cast<std::uint8_t>(header.type);
    bytes[1] = header.flags.bits();
    store_u32(bytes.data() + 2, to_number(header.request_id));
    return bytes;
}

Bytes encode_message(const Header& header) {
    const auto head = encode_header(header);
    return Bytes(head.begin(), head.end());
}

std::string_view to_string(WireError code) {
    static constexpr std::array<std::string_view, kWireErrors + 1> kNames = {
        "UNKNOWN",     "BAD_REQUEST",  "NOT_FOUND",   "TOO_LARGE", "HASH_MISMATCH", "BUSY",
        "UNAVAILABLE", "UNAUTHORIZED", "UNSUPPORTED", "CANCELLED", "INTERNAL",      "QUOTA"};
    const auto number = static_cast<std::size_t>(code);
    return number <= kWireErrors ? kNames[number] : kNames[0];
}

Result<ErrorBody> decode_error(ByteSpan body) {
    ByteReader reader(body);
    const std::uint16_t code = reader.u16();
    const std::uint32_t retry_after_ms = reader.u32();
    if (!reader.ok()) {
        return make_error(ErrorCode::kInvalid, fmt::format("an error of {} bytes, {} at least",
                                                           body.size(), kErrorHeadBytes));
    }
    return ErrorBody{static_cast<WireError>(code), retry_after_ms, as_text(reader.rest())};
}

void encode(const ErrorBody& error, Bytes& out) {
    ByteWriter writer(out);
    writer.u16(static_cast<std::uint16_t>(error.code));
    writer.u32(error.retry_after_ms);
    writer.bytes(as_bytes(error.message));
}

}  // namespace kollator::protocol
