#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

// Bodies of DHT_ANNOUNCE and DHT_LOOKUP (docs/protocol.md, 2.2). Every decoder answers kInvalid
// with what is wrong.
namespace kollator::protocol {

///     +-----------+------------------
///     | count u16 | count x hash[32]
///     +-----------+------------------
struct AnnounceRequest {
    std::vector<ChunkId> ids;

    bool operator==(const AnnounceRequest&) const = default;
};

/// The count is bounded by the message's size: 8,191 names in 262,144 bytes.
Result<AnnounceRequest> decode_announce_request(ByteSpan body);
/// REQUIRES: at most 65,535 names.
void encode(const AnnounceRequest& request, Bytes& out);

///     +--------------+
///     | accepted u16 |
///     +--------------+
struct AnnounceAnswer {
    std::uint16_t accepted = 0;

    bool operator==(const AnnounceAnswer&) const = default;
};

Result<AnnounceAnswer> decode_announce_answer(ByteSpan body);
void encode(const AnnounceAnswer& answer, Bytes& out);

///     +----------+
///     | hash[32] |
///     +----------+
struct LookupRequest {
    ChunkId id;

    bool operator==(const LookupRequest&) const = default;
};

Result<LookupRequest> decode_lookup_request(ByteSpan body);
void encode(const LookupRequest& request, Bytes& out);

enum class AddressFamily : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };
struct PeerAddress {
    AddressFamily family = AddressFamily::kIpv4;
    std::array<std::uint8_t, 16> address{};  ///< network order; of IPv4 the first four bytes
    std::uint16_t port = 0;

    /// "192.0.2.1", "2001:db8::1".
    std::string address_text() const;
    bool operator==(const PeerAddress&) const = default;
};

///     +-----------+---------------------------------------------------
///     | count u16 | count x (family u8, address[4 or 16], port u16)
///     +-----------+---------------------------------------------------
struct LookupAnswer {
    std::vector<PeerAddress> peers;

    bool operator==(const LookupAnswer&) const = default;
};

Result<LookupAnswer> decode_lookup_answer(ByteSpan body);
/// REQUIRES: at most 65,535 peers.
void encode(const LookupAnswer& answer, Bytes& out);

}  // namespace kollator::protocol
