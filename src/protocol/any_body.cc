#include "protocol/any_body.h"

#include <fmt/format.h>

#include <utility>

#include "protocol/decode_error.h"
#include "protocol/json.h"

namespace kollator::protocol {
namespace {

template <typename Body>
Result<AnyBody> any(Result<Body> body) {
    if (!body.ok()) return body.error();
    return AnyBody(std::move(body).value());
}

Result<AnyBody> decode_empty(std::string_view what, ByteSpan body) {
    if (!body.empty()) return wrong_size(what, body.size(), 0);
    return AnyBody(EmptyBody{});
}

Result<AnyBody> decode_health(ByteSpan body) {
    const auto document = parse_json_object(as_text(body));
    if (!document.ok()) return document.error();
    return AnyBody(HealthAnswer{as_text(body)});
}

Error unknown_type(MessageType type) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("unknown type {}", static_cast<unsigned>(type)));
}

Result<AnyBody> decode_request(MessageType type, ByteSpan body) {
    switch (type) {
        case MessageType::kHello:
            return any(decode_hello(body));
        case MessageType::kChunkRequest:
            return any(decode_chunk_request(body));
        case MessageType::kChunkResponse:
            break;  // decode_message() refused it
        case MessageType::kChunkStore:
            return any(decode_chunk_store(body));
        case MessageType::kChunkList:
            return any(decode_list_request(body));
        case MessageType::kDhtAnnounce:
            return any(decode_announce_request(body));
        case MessageType::kHealthCheck:
            return decode_empty("HEALTH_CHECK", body);
        case MessageType::kDhtLookup:
            return any(decode_lookup_request(body));
        case MessageType::kMetadataStore:
            return any(decode_metadata_store(body));
        case MessageType::kMetadataRequest:
            return any(decode_metadata_request(body));
        case MessageType::kAuth:
            return any(decode_auth(body));
        case MessageType::kCancel:
            return decode_empty("CANCEL", body);
        case MessageType::kChunkStat:
            return any(decode_stat_request(body));
    }
    return unknown_type(type);
}

Result<AnyBody> decode_answer(MessageType type, ByteSpan body) {
    switch (type) {
        case MessageType::kHello:
            return any(decode_hello(body));
        case MessageType::kChunkRequest:
            return make_error(ErrorCode::kInvalid, "CHUNK_REQUEST is answered by CHUNK_RESPONSE");
        case MessageType::kChunkResponse:
        case MessageType::kMetadataRequest:
            return any(decode_response_fragment(body));
        case MessageType::kChunkStore:
        case MessageType::kMetadataStore:
            return any(decode_store_answer(body));
        case MessageType::kChunkList:
            return any(decode_list_answer(body));
        case MessageType::kDhtAnnounce:
            return any(decode_announce_answer(body));
        case MessageType::kHealthCheck:
            return decode_health(body);
        case MessageType::kDhtLookup:
            return any(decode_lookup_answer(body));
        case MessageType::kAuth:
            return any(decode_auth(body));
        case MessageType::kCancel:
            return make_error(ErrorCode::kInvalid, "CANCEL has no answer");
        case MessageType::kChunkStat:
            return any(decode_stat_answer(body));
    }
    return unknown_type(type);
}

void encode(const EmptyBody&, Bytes&) {}

void encode(const HealthAnswer& answer, Bytes& out) {
    out.insert(out.end(), answer.json.begin(), answer.json.end());
}

}  // namespace

Result<AnyBody> decode_body(const Message& message) {
    const Header& header = message.header;
    if (header.flags.has(Flag::kCompressed) || header.flags.has(Flag::kEncrypted)) {
        return make_error(ErrorCode::kNotFound, "a compressed or sealed body");
    }
    if (header.flags.has(Flag::kError)) return any(decode_error(message.body));
    return header.flags.has(Flag::kResponse) ? decode_answer(header.type, message.body)
                                             : decode_request(header.type, message.body);
}

void encode(const AnyBody& body, Bytes& out) {
    std::visit([&out](const auto& known) { encode(known, out); }, body);
}

}  // namespace kollator::protocol
