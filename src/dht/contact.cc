#include "dht/contact.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/check.h"

namespace kollator::dht {
namespace {

constexpr std::size_t kMappedPrefixBytes = 12;
constexpr std::array<std::uint8_t, kMappedPrefixBytes> kMappedPrefix = {0, 0, 0, 0, 0,    0,
                                                                        0, 0, 0, 0, 0xFF, 0xFF};

struct Network {
    std::array<std::uint8_t, 16> prefix;
    unsigned bits;
};

/// RFC 6890 and its registry: what no host of the internet has.
constexpr Network kSpecialV4[] = {
    {{0}, 8},              // "this network"
    {{10}, 8},             // private
    {{100, 64}, 10},       // carrier-grade NAT (RFC 6598)
    {{127}, 8},            // loopback
    {{169, 254}, 16},      // link-local
    {{172, 16}, 12},       // private
    {{192, 0, 0}, 24},     // IETF protocol assignments
    {{192, 0, 2}, 24},     // documentation
    {{192, 88, 99}, 24},   // 6to4 relays, deprecated
    {{192, 168}, 16},      // private
    {{198, 18}, 15},       // benchmarking
    {{198, 51, 100}, 24},  // documentation
    {{203, 0, 113}, 24},   // documentation
    {{224}, 3},            // multicast, reserved, broadcast
};

/// Only 2000::/3 is handed out; of it, these are not hosts', or hide a v4 address of any kind.
constexpr Network kSpecialV6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},  // Teredo, ORCHID, benchmarking and other assignments
    {{0x20, 0x01, 0x0D, 0xB8}, 32},  // documentation
    {{0x20, 0x02}, 16},              // 6to4
    {{0x3F, 0xFF}, 20},              // documentation (RFC 9637)
};

bool is_in(const std::array<std::uint8_t, 16>& address, const Network& network) {
    const std::size_t whole = network.bits / 8;
    if (!std::equal(address.begin(), address.begin() + whole, network.prefix.begin())) return false;
    if (network.bits % 8 == 0) return true;
    const unsigned mask = 0xFF00U >> (network.bits % 8);
    return (address[whole] & mask & 0xFFU) == (network.prefix[whole] & mask & 0xFFU);
}

Endpoint unmapped(Endpoint endpoint) {
    if (!endpoint.v6 ||
        !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), endpoint.address.begin())) {
        return endpoint;
    }
    Endpoint v4;
    v4.port = endpoint.port;
    std::copy_n(endpoint.address.begin() + kMappedPrefixBytes, 4, v4.address.begin());
    return v4;
}

}  // namespace

std::optional<Endpoint> Endpoint::from_text(std::string_view address, std::uint16_t port) {
    const std::string text(address);
    Endpoint endpoint;
    endpoint.port = port;
    if (inet_pton(AF_INET, text.c_str(), endpoint.address.data()) == 1) return endpoint;
    if (inet_pton(AF_INET6, text.c_str(), endpoint.address.data()) != 1) return std::nullopt;
    endpoint.v6 = true;
    return unmapped(endpoint);
}

std::optional<Endpoint> Endpoint::from_compact(ByteSpan bytes) {
    if (bytes.size() != kCompactV4 && bytes.size() != kCompactV6) return std::nullopt;
    Endpoint endpoint;
    endpoint.v6 = bytes.size() == kCompactV6;
    std::copy(bytes.begin(), bytes.end() - 2, endpoint.address.begin());
    endpoint.port = load_u16(bytes.data() + bytes.size() - 2);
    return unmapped(endpoint);
}

void Endpoint::to_compact(MutableByteSpan out) const {
    const ByteSpan bytes = address_bytes();
    KOLLATOR_CHECK(out.size() == bytes.size() + 2);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    store_u16(out.data() + bytes.size(), port);
}

std::string Endpoint::address_text() const {
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(v6 ? AF_INET6 : AF_INET, address.data(), text, sizeof text);
    return text;
}

std::string Endpoint::text() const {
    const std::string host = v6 ? "[" + address_text() + "]" : address_text();
    return host + ":" + std::to_string(port);
}

void append_compact_nodes(ByteSpan bytes, bool v6, std::size_t max_count,
                          std::vector<Contact>& out) {
    const std::size_t endpoint_bytes = v6 ? Endpoint::kCompactV6 : Endpoint::kCompactV4;
    const std::size_t entry_bytes = NodeId::kSize + endpoint_bytes;
    for (std::size_t i = 0; i < max_count && bytes.size() >= entry_bytes; ++i) {
        const auto id = NodeId::from_bytes(bytes.first(NodeId::kSize));
        const auto at = Endpoint::from_compact(bytes.subspan(NodeId::kSize, endpoint_bytes));
        out.push_back({*id, *at});
        bytes = bytes.subspan(entry_bytes);
    }
}

bool AddressPolicy::allows(const Endpoint& endpoint) const {
    if (endpoint.port == 0) return false;
    const auto within = [&](const Network& network) { return is_in(endpoint.address, network); };
    if (allow_private) {
        // What can never be a peer, even there.
        const bool zero = std::all_of(endpoint.address.begin(), endpoint.address.end(),
                                      [](std::uint8_t byte) { return byte == 0; });
        const bool many = endpoint.v6 ? endpoint.address[0] == 0xFF : endpoint.address[0] >= 224;
        return !zero && !many;
    }
    if (!endpoint.v6) return std::none_of(std::begin(kSpecialV4), std::end(kSpecialV4), within);
    const bool global = (endpoint.address[0] & 0xE0) == 0x20;
    return global && std::none_of(std::begin(kSpecialV6), std::end(kSpecialV6), within);
}

}  // namespace kollator::dht
