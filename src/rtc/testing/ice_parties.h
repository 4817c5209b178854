#pragma once

#include <chrono>
#include <string_view>

#include "rtc/ice/ice_agent.h"

/// What the tests of the ICE agent have in common: two addresses and who stands at them.
namespace kollator::rtc {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline SocketAddress address(std::string_view ip, std::uint16_t port) {
    return {*IpAddress::parse(ip), port};
}

inline Candidate host(const SocketAddress& where, std::uint16_t preference = 65535) {
    return {
        "1", candidate_priority(CandidateType::kHost, preference), where, CandidateType::kHost, {}};
}

inline const SocketAddress kWorker = address("192.0.2.1", 8081);
inline const SocketAddress kPeer = address("198.51.100.2", 50000);
inline const IceCredentials kWorkerCredentials{"workerXY", "workerpasswordworkerpass"};
inline const IceCredentials kPeerCredentials{"peerABCD", "peerpasswordpeerpassword"};

inline IceOptions options(IceRole role, const IceCredentials& credentials) {
    IceOptions out;
    out.role = role;
    out.local = credentials;
    out.transaction_prefix = 0xABCD0001;
    return out;
}

}  // namespace kollator::rtc
