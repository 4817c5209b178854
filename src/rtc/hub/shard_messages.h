#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "rtc/endpoint.h"
#include "rtc/message_block.h"

/// What a hub and its shards say to each other: plain values, given from one loop to the other in
/// batches, in order. Neither side ever touches what the other owns.
///
///                    commands: sends, signaling
///     hub's loop  ─────────────────────────────▶  shard's loop
///     (sessions)  ◀─────────────────────────────  (socket, ICE, DTLS, SCTP)
///                    events: messages, credits
namespace kollator::rtc::hub {

/// A channel of one peer, as the shard counted them.
using ChannelId = std::uint64_t;
/// A command that is answered by ReplyEvent.
using RequestId = std::uint64_t;

/// What a message costs beside its bytes while it waits: so that tiny ones are bounded, too.
inline constexpr std::size_t kMessageOverheadBytes = 128;

inline std::size_t cost_of(const MessageBlock& message) {
    return message.size_bytes() + kMessageOverheadBytes;
}

// ---- to a shard ----

struct AcceptCommand {
    PeerId peer = 0;
    RequestId request = 0;
    std::string sdp;
};
struct RenegotiateCommand {
    PeerId peer = 0;
    RequestId request = 0;
    std::string sdp;
};
struct RestartCommand {
    PeerId peer = 0;
    RequestId request = 0;
    IceCredentials remote;
};
struct CandidatesCommand {
    PeerId peer = 0;
    RequestId request = 0;
    std::vector<std::string> candidates;
};
struct ClosePeerCommand {
    PeerId peer = 0;
    std::string reason;
};
struct SendCommand {
    PeerId peer = 0;
    ChannelId channel = 0;
    MessageBlock message;
};
struct CloseChannelCommand {
    PeerId peer = 0;
    ChannelId channel = 0;
};
/// The hub's side is done with so much of what it was given, by cost_of().
struct ConsumedCommand {
    PeerId peer = 0;
    std::size_t bytes = 0;
};
struct AcceptDirectCommand {
    bool on = false;
};
struct ReportCommand {};

using Command = std::variant<AcceptCommand, RenegotiateCommand, RestartCommand, CandidatesCommand,
                             ClosePeerCommand, SendCommand, CloseChannelCommand, ConsumedCommand,
                             AcceptDirectCommand, ReportCommand>;

// ---- from a shard ----

/// `text`: the answer's SDP, the fragment, or nothing.
struct ReplyEvent {
    PeerId peer = 0;
    RequestId request = 0;
    Result<std::string> text;
};
/// A peer dialed, and has this id.
struct DialedEvent {
    PeerId peer = 0;
};
struct ConnectedEvent {
    PeerId peer = 0;
    std::optional<std::array<std::uint8_t, 32>> fingerprint;
};
struct CandidateEvent {
    PeerId peer = 0;
    std::string candidate;
};
struct ChannelEvent {
    PeerId peer = 0;
    ChannelId channel = 0;
    std::string label;
    std::string protocol;
    bool ordered = true;
    std::uint16_t stream = 0;
    std::size_t max_message_bytes = 0;

    std::size_t cost() const { return label.size() + protocol.size() + kMessageOverheadBytes; }
};
struct MessageEvent {
    PeerId peer = 0;
    ChannelId channel = 0;
    MessageBlock message;
    bool binary = true;
};
/// SCTP took so much of what was sent: cost_of().
struct TakenEvent {
    PeerId peer = 0;
    std::size_t bytes = 0;
};
struct ChannelClosedEvent {
    PeerId peer = 0;
    ChannelId channel = 0;
};
/// The last event of a peer.
struct ClosedEvent {
    PeerId peer = 0;
    std::string reason;
};
struct ReportEvent {
    EndpointStats stats;
    std::vector<std::string> candidates;
    std::vector<DirectAddress> direct_addresses;  ///< none where nobody may dial
};

using Event = std::variant<ReplyEvent, DialedEvent, ConnectedEvent, CandidateEvent, ChannelEvent,
                           MessageEvent, TakenEvent, ChannelClosedEvent, ClosedEvent, ReportEvent>;

}  // namespace kollator::rtc::hub
