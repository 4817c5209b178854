#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/siphash.h"

namespace kollator::rtc {

/// An IP address, v4 or v6. A v4 address mapped into v6 (::ffff:192.0.2.1) is always held as v4, so
/// that one peer has one spelling on a dual-stack socket.
class IpAddress {
 public:
    /// 0.0.0.0.
    constexpr IpAddress() = default;
    static IpAddress v4(const std::array<std::uint8_t, 4>& bytes);
    static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
    /// Numeric forms only; a scope ("%eth0") is refused.
    static std::optional<IpAddress> parse(std::string_view text);

    bool is_v6() const { return v6_; }
    bool is_unspecified() const;
    bool is_loopback() const;
    bool is_link_local() const;
    bool is_multicast() const;
    /// 4 or 16, in network order.
    ByteSpan bytes() const { return {bytes_.data(), v6_ ? std::size_t{16} : std::size_t{4}}; }
    std::string text() const;

    auto operator<=>(const IpAddress&) const = default;

 private:
    bool v6_ = false;
    std::array<std::uint8_t, 16> bytes_{};  ///< what lies past a v4 address is zero
};

/// An IP address and a UDP port.
struct SocketAddress {
    IpAddress ip;
    std::uint16_t port = 0;

    /// Empty for families other than AF_INET and AF_INET6.
    static std::optional<SocketAddress> from_sockaddr(const sockaddr_storage& from);
    /// Gives the length. `dual_stack`: the socket is AF_INET6, v4 addresses are mapped.
    socklen_t to_sockaddr(sockaddr_storage& to, bool dual_stack) const;
    /// "192.0.2.1:5000", "[2001:db8::1]:5000".
    std::string text() const;

    auto operator<=>(const SocketAddress&) const = default;
};

/// A stranger chooses its address and port: keyed (style.md, C++ 14).
struct SocketAddressHash {
    std::size_t operator()(const SocketAddress& address) const {
        std::array<std::uint8_t, 18> key{};
        const ByteSpan ip = address.ip.bytes();
        std::copy(ip.begin(), ip.end(), key.begin());
        store_u16(key.data() + 16, address.port);
        return siphash(key);
    }
};

}  // namespace kollator::rtc
