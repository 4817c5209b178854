// What a DHT node answers, after libtorrent took it apart: ids, tokens, contacts and peers of any
// length and number.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "dht/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kollator;
    ByteReader reader(ByteSpan(data, size));
    const dht::AddressPolicy policy{.allow_private = (reader.u8() & 1) != 0};
    dht::RawReply raw;
    raw.id = reader.bytes(std::min<std::size_t>(reader.u8(), reader.remaining()));
    raw.token = reader.bytes(std::min<std::size_t>(reader.u8(), reader.remaining()));
    raw.nodes = reader.bytes(std::min<std::size_t>(reader.u16(), reader.remaining()));
    raw.nodes6 = reader.bytes(std::min<std::size_t>(reader.u16(), reader.remaining()));
    while (reader.remaining() > 0) {
        raw.values.push_back(reader.bytes(std::min<std::size_t>(reader.u8(), reader.remaining())));
    }
    const auto reply = dht::read_reply(raw, policy);
    if (!reply) return 0;
    KOLLATOR_CHECK(reply->nodes.size() <= 2 * dht::kMaxReplyNodes);
    KOLLATOR_CHECK(reply->peers.size() <= dht::kMaxReplyPeers);
    KOLLATOR_CHECK(reply->token.size() <= dht::kMaxTokenBytes);
    for (const dht::Contact& contact : reply->nodes) KOLLATOR_CHECK(policy.allows(contact.at));
    for (const dht::Endpoint& peer : reply->peers) {
        KOLLATOR_CHECK(policy.allows(peer));
        Bytes compact(peer.v6 ? dht::Endpoint::kCompactV6 : dht::Endpoint::kCompactV4);
        peer.to_compact(compact);
        KOLLATOR_CHECK(dht::Endpoint::from_compact(compact) == peer);
        KOLLATOR_CHECK(!peer.text().empty());
    }
    return 0;
}
