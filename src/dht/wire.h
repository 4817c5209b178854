#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dht/contact.h"

namespace kollator::dht {

enum class QueryKind : std::uint8_t { kPing, kFindNode, kGetPeers, kAnnouncePeer };

/// A question to one node (BEP 5).
struct Query {
    QueryKind kind = QueryKind::kPing;
    InfoHash target{};       ///< of find_node the wanted id, else the info-hash
    std::string token{};     ///< announce_peer: the asked node's own, from its get_peers
    std::uint16_t port = 0;  ///< announce_peer: where clients begin; implied_port is always 0
};

/// What a node answered, as far as we use it.
struct Reply {
    NodeId id;
    std::vector<Contact> nodes;
    std::vector<Endpoint> peers;
    std::string token;
};

/// Whoever answers may be hostile: what is past these is passed over. A UDP datagram has room for
/// some 60 contacts; a token is 4 to 20 bytes in practice.
inline constexpr std::size_t kMaxReplyNodes = 32;
inline constexpr std::size_t kMaxReplyPeers = 128;
inline constexpr std::size_t kMaxTokenBytes = 64;

/// The fields of an answer, not yet looked at. Views into the packet.
struct RawReply {
    ByteSpan id;
    ByteSpan token;
    ByteSpan nodes;
    ByteSpan nodes6;
    std::vector<ByteSpan> values;
};

/// Takes what is well-formed and allowed out of an answer: contacts and peers of addresses that
/// `policy` refuses are left out, so that nobody can have us dial them. kInvalid: no node id.
Result<Reply> read_reply(const RawReply& raw, const AddressPolicy& policy);

/// How queries leave. The ticket comes back with the answer, to QueryQueue::on_reply().
class Wire {
 public:
    virtual ~Wire() = default;
    virtual void send(const Endpoint& to, const Query& query, std::uint64_t ticket) = 0;
};

}  // namespace kollator::dht
