#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rtc/ice/candidate.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

/// All that a client needs to connect without signaling (protocol.md, 1.3): where the endpoint's
/// UDP port is, and the SHA-256 of its certificate.
struct DirectAddress {
    SocketAddress address;
    std::array<std::uint8_t, 32> certificate{};

    bool operator==(const DirectAddress&) const = default;
};

/// "/ip4/192.0.2.1/udp/8081/webrtc-direct/certhash/uEi…": a multiaddr whose certhash is a multihash
/// (sha2-256) in multibase (base64url).
std::string format_direct_address(const DirectAddress& address);
/// kInvalid: no such address; the detail says what is wrong.
Result<DirectAddress> parse_direct_address(std::string_view text);

/// The endpoint's ICE credentials for a dialing client with this password: ufrag and password are
/// the same, and name the client's password, so that the first check tells the endpoint all of it.
IceCredentials direct_credentials(std::string_view client_password);
/// The client's credentials, out of the USERNAME of its check ("ours:theirs"). Empty where it is
/// no such user name.
std::optional<IceCredentials> direct_client(std::string_view username);

}  // namespace kollator::rtc
