#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "protocol/message.h"

namespace kollator::session {

/// What a peer is told when its request fails.
struct Fault {
    protocol::WireError code = protocol::WireError::kInternal;
    std::string text;  ///< for people; tells strangers nothing about this machine
    /// With BUSY and UNAVAILABLE: when to try again; zero: the usual time.
    std::chrono::milliseconds retry_after{0};

    bool operator==(const Fault&) const = default;
};

/// How the chunk service's errors look on the wire. The detail of kInvalid goes along, since it is
/// about the peer's own input; all others get fixed words, and their detail is for the log.
Fault to_fault(const Error& error);

/// True for the codes that carry the advice to try again later.
bool advises_retry(protocol::WireError code);

}  // namespace kollator::session
