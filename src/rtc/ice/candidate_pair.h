#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "rtc/socket_address.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

/// From where to where a datagram goes. `local` unspecified: the kernel chooses the source; in a
/// datagram that came in, it is the address that it came to.
struct IcePath {
    IpAddress local;
    SocketAddress remote;
    /// 0: by the endpoint's own socket. Else the relay that it goes through; `local` is unspecified
    /// then.
    std::uint32_t relay = 0;

    bool operator==(const IcePath&) const = default;
    /// Whether both lead to the same place by the same way, whichever of our addresses they name.
    bool leads_as(const IcePath& other) const {
        return remote == other.remote && relay == other.relay;
    }
};

/// A check in flight (RFC 8445 14.3, RFC 8489 6.2.1).
struct IceCheck {
    TransactionId id{};
    int sent = 0;
    Duration timeout{};   ///< until the next retransmission, doubled each time
    TimePoint resend_at;  ///< after the last one: when the check has failed
    bool use_candidate = false;
};

//   kWaiting ─▶ kInProgress ─▶ kSucceeded
//      ▲             └──▶ kFailed ──┐
//      └──── a check of the peer ───┘
//
// DEVIATION from RFC 8445 6.1.2.6: no kFrozen. With one component of one stream nothing would ever
// freeze but pairs of one foundation, of which a shared socket has one for each remote candidate.
enum class PairState : std::uint8_t { kWaiting, kInProgress, kSucceeded, kFailed };

struct CandidatePair {
    /// `path.local` stays unspecified until a datagram has shown it.
    IcePath path;
    std::uint32_t remote_priority = 0;
    std::uint64_t priority = 0;
    PairState state = PairState::kWaiting;
    bool heard = false;      ///< the peer sent an authentic request on it
    bool triggered = false;  ///< to be checked before the others (RFC 8445 7.3.1.4)
    /// The peer nominated it, or we do with the next check.
    bool nominated = false;
    std::optional<IceCheck> check;
    std::optional<TimePoint> last_received;  ///< anything authentic, or data
    /// The latest data from there that may have been the peer's (IceAgent::check_stray).
    std::optional<TimePoint> stray_at;
    std::optional<TimePoint> last_nominated;  ///< by the peer
};

}  // namespace kollator::rtc
