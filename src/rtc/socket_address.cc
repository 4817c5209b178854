#include "rtc/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace kollator::rtc {

namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::v4(const std::array<std::uint8_t, 4>& bytes) {
    IpAddress address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
    if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
        return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
    }
    IpAddress address;
    address.v6_ = true;
    address.bytes_ = bytes;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
    const std::string terminated(text);
    std::array<std::uint8_t, 16> raw{};
    if (inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) {
        return v4({raw[0], raw[1], raw[2], raw[3]});
    }
    if (inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) return v6(raw);
    return std::nullopt;
}

bool IpAddress::is_unspecified() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
    if (!v6_) return bytes_[0] == 127;
    return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1,
                                          [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_link_local() const {
    if (!v6_) return bytes_[0] == 169 && bytes_[1] == 254;
    return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const {
    return v6_ ? bytes_[0] == 0xff : (bytes_[0] & 0xf0) == 0xe0;
}

std::string IpAddress::text() const {
    char out[INET6_ADDRSTRLEN] = {};
    inet_ntop(v6_ ? AF_INET6 : AF_INET, bytes_.data(), out, sizeof(out));
    return out;
}

std::optional<SocketAddress> SocketAddress::from_sockaddr(const sockaddr_storage& from) {
    if (from.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &from, sizeof(in));
        std::array<std::uint8_t, 4> raw{};
        std::memcpy(raw.data(), &in.sin_addr, raw.size());
        return SocketAddress{IpAddress::v4(raw), ntohs(in.sin_port)};
    }
    if (from.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &from, sizeof(in));
        std::array<std::uint8_t, 16> raw{};
        std::memcpy(raw.data(), &in.sin6_addr, raw.size());
        return SocketAddress{IpAddress::v6(raw), ntohs(in.sin6_port)};
    }
    return std::nullopt;
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& to, bool dual_stack) const {
    const ByteSpan raw = ip.bytes();
    if (!ip.is_v6() && !dual_stack) {
        sockaddr_in out{};
        out.sin_family = AF_INET;
        out.sin_port = htons(port);
        std::memcpy(&out.sin_addr, raw.data(), raw.size());
        std::memcpy(&to, &out, sizeof(out));
        return sizeof(out);
    }
    sockaddr_in6 out{};
    out.sin6_family = AF_INET6;
    out.sin6_port = htons(port);
    std::uint8_t* address = out.sin6_addr.s6_addr;
    if (ip.is_v6()) {
        std::memcpy(address, raw.data(), raw.size());
    } else if (!ip.is_unspecified()) {
        std::memcpy(address, kMappedPrefix.data(), kMappedPrefix.size());
        std::memcpy(address + kMappedPrefix.size(), raw.data(), raw.size());
    }
    std::memcpy(&to, &out, sizeof(out));
    return sizeof(out);
}

std::string SocketAddress::text() const {
    return ip.is_v6() ? fmt::format("[{}]:{}", ip.text(), port)
                      : fmt::format("{}:{}", ip.text(), port);
}

}  // namespace kollator::rtc
