#include "protocol/catalog.h"

#include <fmt/format.h>

#include "base/check.h"
#include "protocol/decode_error.h"

namespace kollator::protocol {
namespace {

constexpr std::size_t kListRequestBytes = 32 + 2 + 1;
constexpr std::uint8_t kScopeKnown = 1;

ChunkId take_id(ByteReader& reader) {
    return ChunkId::from_bytes(reader.bytes(ChunkId::kSize)).value_or(ChunkId());
}

}  // namespace

Result<ListRequest> decode_list_request(ByteSpan body) {
    if (body.size() != kListRequestBytes) {
        return wrong_size("CHUNK_LIST", body.size(), kListRequestBytes);
    }
    ByteReader reader(body);
    ListRequest request;
    request.after = take_id(reader);
    request.limit = reader.u16();
    const std::uint8_t scope = reader.u8();
    if (scope > 1) return bad_value("CHUNK_LIST", "scope", scope);
    request.scope = static_cast<ListScope>(scope);
    return request;
}

void encode(const ListRequest& request, Bytes& out) {
    ByteWriter writer(out);
    writer.bytes(request.after.span());
    writer.u16(request.limit);
    writer.u8(static_cast<std::uint8_t>(request.scope));
}

Result<ListAnswer> decode_list_answer(ByteSpan body) {
    ByteReader reader(body);
    const std::uint8_t more = reader.u8();
    const std::size_t count = reader.u16();
    if (!reader.ok()) return cut_short("a list", body.size());
    if (more > 1) return bad_value("a list", "more", more);
    // Checked before anything is reserved: the count is a stranger's.
    if (reader.remaining() != count * kListEntryBytes) {
        return wrong_size("a list", body.size(), kListHeadBytes + count * kListEntryBytes);
    }
    ListAnswer answer;
    answer.more = more == 1;
    answer.entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const ChunkId id = take_id(reader);
        if (i > 0 && id <= answer.entries.back().id) {
            return make_error(ErrorCode::kInvalid, "a list whose names do not ascend");
        }
        answer.entries.push_back({id, reader.u32()});
    }
    return answer;
}

void encode(const ListAnswer& answer, Bytes& out) {
    KOLLATOR_CHECK(answer.entries.size() <= 0xFFFF);
    ByteWriter writer(out);
    out.reserve(out.size() + kListHeadBytes + answer.entries.size() * kListEntryBytes);
    writer.u8(answer.more ? 1 : 0);
    writer.u16(static_cast<std::uint16_t>(answer.entries.size()));
    for (const ListEntry& entry : answer.entries) {
        writer.bytes(entry.id.span());
        writer.u32(entry.size_bytes);
    }
}

Result<StatRequest> decode_stat_request(ByteSpan body) {
    ByteReader reader(body);
    const std::size_t count = reader.u16();
    if (!reader.ok()) return cut_short("CHUNK_STAT", body.size());
    if (count > kMaxStatNames) {
        return make_error(ErrorCode::kInvalid, fmt::format("CHUNK_STAT of {} names, {} are allowed",
                                                           count, kMaxStatNames));
    }
    const std::size_t names_bytes = count * ChunkId::kSize;
    if (reader.remaining() != names_bytes && reader.remaining() != names_bytes + 1) {
        return wrong_size("CHUNK_STAT", body.size(), 2 + count * ChunkId::kSize);
    }
    StatRequest request;
    request.ids.reserve(count);
    for (std::size_t i = 0; i < count; ++i) request.ids.push_back(take_id(reader));
    request.known_only = reader.remaining() > 0;
    if (request.known_only) {
        const std::uint8_t scope = reader.u8();
        if (scope != kScopeKnown) return bad_value("CHUNK_STAT", "scope", scope);
    }
    return request;
}

void encode(const StatRequest& request, Bytes& out) {
    KOLLATOR_CHECK(request.ids.size() <= kMaxStatNames);
    ByteWriter writer(out);
    writer.u16(static_cast<std::uint16_t>(request.ids.size()));
    for (const ChunkId& id : request.ids) writer.bytes(id.span());
    if (request.known_only) writer.u8(kScopeKnown);
}

Result<StatAnswer> decode_stat_answer(ByteSpan body) {
    const std::size_t count = body.size() / kStatEntryBytes;
    if (body.size() != count * kStatEntryBytes || count > kMaxStatNames) {
        return wrong_size("a stat answer", body.size(), count * kStatEntryBytes);
    }
    ByteReader reader(body);
    StatAnswer answer;
    answer.entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t size_bytes = reader.u32();
        const std::uint8_t residency = reader.u8();
        if (residency > 3 && residency != 0xFF) {
            return bad_value("a stat answer", "residency", residency);
        }
        answer.entries.push_back({size_bytes, static_cast<StatResidency>(residency)});
    }
    return answer;
}

void encode(const StatAnswer& answer, Bytes& out) {
    ByteWriter writer(out);
    for (const StatEntry& entry : answer.entries) {
        writer.u32(entry.size_bytes);
        writer.u8(static_cast<std::uint8_t>(entry.residency));
    }
}

}  // namespace kollator::protocol
