#include "protocol/discovery.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/check.h"
#include "protocol/decode_error.h"

namespace kollator::protocol {
namespace {

ChunkId take_id(ByteReader& reader) {
    return ChunkId::from_bytes(reader.bytes(ChunkId::kSize)).value_or(ChunkId());
}

std::size_t address_bytes(AddressFamily family) {
    return family == AddressFamily::kIpv4 ? 4 : 16;
}

}  // namespace

Result<AnnounceRequest> decode_announce_request(ByteSpan body) {
    ByteReader reader(body);
    const std::size_t count = reader.u16();
    if (!reader.ok()) return cut_short("DHT_ANNOUNCE", body.size());
    if (reader.remaining() != count * ChunkId::kSize) {
        return wrong_size("DHT_ANNOUNCE", body.size(), 2 + count * ChunkId::kSize);
    }
    AnnounceRequest request;
    request.ids.reserve(count);
    for (std::size_t i = 0; i < count; ++i) request.ids.push_back(take_id(reader));
    return request;
}

void encode(const AnnounceRequest& request, Bytes& out) {
    KOLLATOR_CHECK(request.ids.size() <= 0xFFFF);
    ByteWriter writer(out);
    writer.u16(static_cast<std::uint16_t>(request.ids.size()));
    for (const ChunkId& id : request.ids) writer.bytes(id.span());
}

Result<AnnounceAnswer> decode_announce_answer(ByteSpan body) {
    if (body.size() != 2) return wrong_size("an announcement's answer", body.size(), 2);
    return AnnounceAnswer{load_u16(body.data())};
}

void encode(const AnnounceAnswer& answer, Bytes& out) {
    ByteWriter(out).u16(answer.accepted);
}

Result<LookupRequest> decode_lookup_request(ByteSpan body) {
    const auto id = ChunkId::from_bytes(body);
    if (!id) return wrong_size("DHT_LOOKUP", body.size(), ChunkId::kSize);
    return LookupRequest{*id};
}

void encode(const LookupRequest& request, Bytes& out) {
    ByteWriter(out).bytes(request.id.span());
}

std::string PeerAddress::address_text() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family_number = family == AddressFamily::kIpv4 ? AF_INET : AF_INET6;
    inet_ntop(family_number, address.data(), text.data(), text.size());
    return text.data();
}

Result<LookupAnswer> decode_lookup_answer(ByteSpan body) {
    ByteReader reader(body);
    const std::size_t count = reader.u16();
    LookupAnswer answer;
    // No reserve(count): the count is a stranger's, and entries differ in size.
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        const std::uint8_t family = reader.u8();
        if (!reader.ok()) break;
        if (family != 4 && family != 6) return bad_value("a look-up's answer", "family", family);
        PeerAddress peer;
        peer.family = static_cast<AddressFamily>(family);
        const ByteSpan address = reader.bytes(address_bytes(peer.family));
        std::copy(address.begin(), address.end(), peer.address.begin());
        peer.port = reader.u16();
        answer.peers.push_back(peer);
    }
    if (!reader.ok()) return cut_short("a look-up's answer", body.size());
    if (reader.remaining() != 0) {
        return wrong_size("a look-up's answer", body.size(), body.size() - reader.remaining());
    }
    return answer;
}

void encode(const LookupAnswer& answer, Bytes& out) {
    KOLLATOR_CHECK(answer.peers.size() <= 0xFFFF);
    ByteWriter writer(out);
    writer.u16(static_cast<std::uint16_t>(answer.peers.size()));
    for (const PeerAddress& peer : answer.peers) {
        writer.u8(static_cast<std::uint8_t>(peer.family));
        writer.bytes(ByteSpan(peer.address).first(address_bytes(peer.family)));
        writer.u16(peer.port);
    }
}

}  // namespace kollator::protocol
