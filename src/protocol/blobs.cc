#include "protocol/blobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/decode_error.h"

namespace kollator::protocol {
namespace {

constexpr std::size_t kRequestBytes = 32 + 4 + 4;
constexpr std::size_t kAnswerBytes = 1 + 1;

template <typename Id>
Id take_id(ByteReader& reader) {
    return Id::from_bytes(reader.bytes(Id::kSize)).value_or(Id());
}

template <typename Id>
Result<BlobRequest<Id>> decode_request(std::string_view what, ByteSpan body) {
    if (body.size() != kRequestBytes) return wrong_size(what, body.size(), kRequestBytes);
    ByteReader reader(body);
    BlobRequest<Id> request;
    request.id = take_id<Id>(reader);
    request.offset = reader.u32();
    request.length = reader.u32();
    return request;
}

template <typename Id>
void encode_request(const BlobRequest<Id>& request, Bytes& out) {
    ByteWriter writer(out);
    writer.bytes(request.id.span());
    writer.u32(request.offset);
    writer.u32(request.length);
}

bool fits(std::uint32_t total, std::uint32_t offset, std::size_t size) {
    return offset <= total && size <= total - offset;
}

Error past_the_end(std::string_view what, std::uint32_t total, std::uint32_t offset,
                   std::size_t size) {
    return make_error(ErrorCode::kInvalid,
                      fmt::format("{}: {} bytes at offset {} go past the total of {}", what, size,
                                  offset, total));
}

template <typename Id>
Result<StoreFragment<Id>> decode_store(std::string_view what, ByteSpan body) {
    ByteReader reader(body);
    StoreFragment<Id> fragment;
    fragment.id = take_id<Id>(reader);
    fragment.total = reader.u32();
    fragment.offset = reader.u32();
    if (!reader.ok()) return cut_short(what, body.size());
    fragment.data = reader.rest();
    if (fragment.total == 0) {
        return make_error(ErrorCode::kInvalid, fmt::format("{}: the total is 0", what));
    }
    // An empty fragment carries nothing, and would keep an upload alive for nothing.
    if (fragment.data.empty()) {
        return make_error(ErrorCode::kInvalid, fmt::format("{}: no data", what));
    }
    if (!fits(fragment.total, fragment.offset, fragment.data.size())) {
        return past_the_end(what, fragment.total, fragment.offset, fragment.data.size());
    }
    return fragment;
}

template <typename Id>
void encode_store(const StoreFragment<Id>& fragment, Bytes& out) {
    ByteWriter writer(out);
    writer.bytes(fragment.id.span());
    writer.u32(fragment.total);
    writer.u32(fragment.offset);
    writer.bytes(fragment.data);
}

void encode_store_head(std::span<std::uint8_t, kStoreHeadBytes> out, const Header& header,
                       ByteSpan id, std::uint32_t total, std::uint32_t offset) {
    const auto head = encode_header(header);
    std::copy(head.begin(), head.end(), out.begin());
    std::copy(id.begin(), id.end(), out.begin() + kHeaderBytes);
    store_u32(out.data() + kHeaderBytes + id.size(), total);
    store_u32(out.data() + kHeaderBytes + id.size() + 4, offset);
}

}  // namespace

Result<ChunkRequest> decode_chunk_request(ByteSpan body) {
    return decode_request<ChunkId>("CHUNK_REQUEST", body);
}

Result<MetadataRequest> decode_metadata_request(ByteSpan body) {
    return decode_request<MetadataId>("METADATA_REQUEST", body);
}

void encode(const ChunkRequest& request, Bytes& out) {
    encode_request(request, out);
}
void encode(const MetadataRequest& request, Bytes& out) {
    encode_request(request, out);
}

Result<ResponseFragment> decode_response_fragment(ByteSpan body) {
    ByteReader reader(body);
    ResponseFragment fragment;
    fragment.total = reader.u32();
    fragment.offset = reader.u32();
    if (!reader.ok()) return cut_short("a fragment", body.size());
    fragment.data = reader.rest();
    if (!fits(fragment.total, fragment.offset, fragment.data.size())) {
        return past_the_end("a fragment", fragment.total, fragment.offset, fragment.data.size());
    }
    return fragment;
}

void encode(const ResponseFragment& fragment, Bytes& out) {
    ByteWriter writer(out);
    writer.u32(fragment.total);
    writer.u32(fragment.offset);
    writer.bytes(fragment.data);
}

void encode_response_head(std::span<std::uint8_t, kResponseHeadBytes> out, const Header& header,
                          std::uint32_t total, std::uint32_t offset) {
    const auto head = encode_header(header);
    std::copy(head.begin(), head.end(), out.begin());
    store_u32(out.data() + kHeaderBytes, total);
    store_u32(out.data() + kHeaderBytes + 4, offset);
}

void encode_chunk_response_head(std::span<std::uint8_t, kResponseHeadBytes> out,
                                RequestId request_id, Flags flags, std::uint32_t total,
                                std::uint32_t offset) {
    const Header header{MessageType::kChunkResponse, flags | Flag::kResponse, request_id};
    encode_response_head(out, header, total, offset);
}

Result<ChunkStore> decode_chunk_store(ByteSpan body) {
    return decode_store<ChunkId>("CHUNK_STORE", body);
}

Result<MetadataStore> decode_metadata_store(ByteSpan body) {
    return decode_store<MetadataId>("METADATA_STORE", body);
}

void encode(const ChunkStore& fragment, Bytes& out) {
    encode_store(fragment, out);
}
void encode(const MetadataStore& fragment, Bytes& out) {
    encode_store(fragment, out);
}

void encode_chunk_store_head(std::span<std::uint8_t, kStoreHeadBytes> out, RequestId request_id,
                             Flags flags, const ChunkId& id, std::uint32_t total,
                             std::uint32_t offset) {
    encode_store_head(out, {MessageType::kChunkStore, flags, request_id}, id.span(), total, offset);
}

void encode_metadata_store_head(std::span<std::uint8_t, kStoreHeadBytes> out, RequestId request_id,
                                Flags flags, const MetadataId& id, std::uint32_t total,
                                std::uint32_t offset) {
    encode_store_head(out, {MessageType::kMetadataStore, flags, request_id}, id.span(), total,
                      offset);
}

Result<StoreAnswer> decode_store_answer(ByteSpan body) {
    if (body.size() != kAnswerBytes) return wrong_size("a store answer", body.size(), kAnswerBytes);
    if (body[0] > 1) return bad_value("a store answer", "status", body[0]);
    if (body[1] < 1 || body[1] > 2) return bad_value("a store answer", "durability", body[1]);
    return StoreAnswer{static_cast<StoreStatus>(body[0]), static_cast<StoreDurability>(body[1])};
}

void encode(const StoreAnswer& answer, Bytes& out) {
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>(answer.status));
    writer.u8(static_cast<std::uint8_t>(answer.durability));
}

}  // namespace kollator::protocol
