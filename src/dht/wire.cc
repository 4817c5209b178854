#include "dht/wire.h"

#include <algorithm>

namespace kollator::dht {

Result<Reply> read_reply(const RawReply& raw, const AddressPolicy& policy) {
    const auto id = NodeId::from_bytes(raw.id);
    if (!id) {
        return make_error(ErrorCode::kInvalid,
                          "a node id of " + std::to_string(raw.id.size()) + " bytes");
    }
    Reply reply;
    reply.id = *id;
    // A longer one could not be given back in a packet; its owner gets no announcement.
    if (raw.token.size() <= kMaxTokenBytes) reply.token = as_text(raw.token);
    append_compact_nodes(raw.nodes, false, kMaxReplyNodes, reply.nodes);
    append_compact_nodes(raw.nodes6, true, kMaxReplyNodes, reply.nodes);
    std::erase_if(reply.nodes, [&](const Contact& contact) { return !policy.allows(contact.at); });
    for (const ByteSpan value : raw.values) {
        if (reply.peers.size() == kMaxReplyPeers) break;
        const auto peer = Endpoint::from_compact(value);
        if (peer && policy.allows(*peer)) reply.peers.push_back(*peer);
    }
    return reply;
}

}  // namespace kollator::dht
