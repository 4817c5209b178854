#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

enum class CandidateType : std::uint8_t { kHost, kPeerReflexive, kServerReflexive, kRelayed };

/// An ICE candidate (RFC 8445 5.1) of component 1 over UDP: the only kind that a data channel has.
struct Candidate {
    std::string foundation;
    std::uint32_t priority = 0;
    SocketAddress address;
    CandidateType type = CandidateType::kHost;
    std::optional<SocketAddress> related;  ///< the base, for reflexive and relayed ones
    /// Of ours, if relayed: what IcePath::relay says for it.
    std::uint32_t relay = 0;
};

/// RFC 8445 5.1.2.1, for component 1. `local_preference`: of this address among those of its type,
/// 65,535 for the best.
std::uint32_t candidate_priority(CandidateType type, std::uint16_t local_preference);

/// The value of a=candidate (RFC 8839 5.1), with or without "a=" and "candidate:". kInvalid:
/// malformed. Empty: well formed, but of no use here (TCP, another component, an mDNS or other
/// host name, an unknown type, an address that cannot be sent to).
Result<std::optional<Candidate>> parse_candidate(std::string_view text);

/// "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host".
std::string format_candidate(const Candidate& candidate);

struct IceCredentials {
    std::string ufrag;
    std::string password;

    bool operator==(const IceCredentials&) const = default;
};

/// RFC 8839 5.4: a ufrag of 4 to 256 characters, a password of 22 to 256. kInvalid: the detail says
/// which is not.
Status check_ice_credentials(const IceCredentials& credentials);

/// RFC 8445 5.3 wants 24 bits of randomness in the ufrag and 128 in the password: these have 48 (8
/// characters; sessions are found by it) and 144 (24 characters).
IceCredentials make_ice_credentials(Random& random);

}  // namespace kollator::rtc
