#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace kollator::dht {

/// A node's place in the key space (BEP 5): as long as an InfoHash, and compared with one by XOR.
using NodeId = BinaryId<struct NodeIdTag, 20>;

/// An IP address and a UDP port. A v4 address mapped into v6 is held as v4.
struct Endpoint {
    bool v6 = false;
    std::uint16_t port = 0;
    std::array<std::uint8_t, 16> address{};  ///< network order; of IPv4 the first four bytes

    static constexpr std::size_t kCompactV4 = 4 + 2;
    static constexpr std::size_t kCompactV6 = 16 + 2;

    /// "192.0.2.1" or "2001:db8::1", without brackets or scope.
    static std::optional<Endpoint> from_text(std::string_view address, std::uint16_t port);
    /// BEP 5 and BEP 32: "compact IP-address/port info", 6 or 18 bytes, the length says which.
    static std::optional<Endpoint> from_compact(ByteSpan bytes);
    /// REQUIRES: `out` has kCompactV4 or kCompactV6 bytes, as the family wants.
    void to_compact(MutableByteSpan out) const;

    ByteSpan address_bytes() const { return {address.data(), v6 ? std::size_t{16} : 4}; }
    std::string address_text() const;
    /// "192.0.2.1:6881", "[2001:db8::1]:6881".
    std::string text() const;

    auto operator<=>(const Endpoint&) const = default;
};

struct Contact {
    NodeId id;
    Endpoint at;

    bool operator==(const Contact&) const = default;
};

using Distance = std::array<std::uint8_t, 20>;

inline Distance distance_of(const InfoHash& target, const NodeId& id) {
    Distance distance{};
    for (std::size_t i = 0; i < distance.size(); ++i) {
        distance[i] = static_cast<std::uint8_t>(target.bytes()[i] ^ id.bytes()[i]);
    }
    return distance;
}

/// BEP 5's "compact node info": contacts of 26 bytes (v4) or 38 (v6, BEP 32's "nodes6"), at most
/// `max_count`; what is left over at the end is no contact and is passed over.
void append_compact_nodes(ByteSpan bytes, bool v6, std::size_t max_count,
                          std::vector<Contact>& out);

/// Whether an address may be dialled, handed to a client, or kept.
struct AddressPolicy {
    /// Everything with a port may be: for tests on one machine, and private networks.
    bool allow_private = false;

    /// False for port 0 and, unless allow_private, for what is not reachable over the internet:
    /// unspecified, loopback, private, link-local, CGNAT, multicast, documentation, benchmarking,
    /// reserved, and the v6 equivalents (RFC 6890).
    bool allows(const Endpoint& endpoint) const;
};

}  // namespace kollator::dht
