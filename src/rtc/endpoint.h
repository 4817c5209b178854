#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "rtc/data_channel.h"

namespace kollator::rtc {

class Certificate;

/// Names a peer connection for the life of the process; never used twice.
using PeerId = std::uint64_t;

/// Told about one peer connection, on the loop's thread, never from within a call to the endpoint.
class PeerObserver {
 public:
    virtual ~PeerObserver() = default;
    virtual void on_connected() {}
    /// A channel is open. Gives its observer, which the connection keeps until after on_close; null
    /// refuses the channel, which is then reset.
    virtual std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) = 0;
    /// The last call. `reason` is for logs: "peer closed", "consent expired", "dtls failed: …".
    virtual void on_closed(const std::string& reason) = 0;
};

struct PeerInfo {
    PeerId id = 0;
    bool connected = false;
    std::string remote_address;  ///< "192.0.2.1:50000", of the selected pair; empty before
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::size_t channels = 0;
};

struct EndpointOptions {
    std::string bind_address = "0.0.0.0";  ///< or "::", dual stack
    std::uint16_t port = 0;                ///< UDP; 0: any, see port()
    /// Put into answers instead of the machine's own addresses (NAT 1:1). Numeric.
    std::vector<std::string> announce_addresses;
    /// Names loopback addresses in answers beside the others, for peers on the same machine.
    bool include_loopback = false;
    std::size_t max_connections = 4096;             ///< over it accept() gives kLimit
    std::size_t send_buffer_bytes = 256 * 1024;     ///< for each association
    std::size_t receive_buffer_bytes = 256 * 1024;  ///< for each association
    /// What the send buffers of all associations hold together, and as much again for what their
    /// receive windows promise beyond the least (SctpStackOptions).
    std::size_t buffer_budget_bytes = 256 * 1024 * 1024;
    Duration connect_timeout =
        std::chrono::seconds(30);  ///< from the answer to an open association
    Duration consent_timeout = std::chrono::seconds(12);  ///< silence after which a peer is gone
};

struct EndpointStats {
    std::size_t active = 0;   ///< connected now
    std::size_t pending = 0;  ///< answered, not yet connected
    std::uint64_t total = 0;  ///< ever connected
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t send_calls = 0;  ///< system calls, for packets a call
    std::uint64_t receive_calls = 0;
    std::uint64_t retransmitted_bytes = 0;  ///< user data that SCTP sent again
    std::size_t buffered_bytes = 0;         ///< sent and not acknowledged, or waiting to be sent
};

struct Answer {
    PeerId peer = 0;
    std::string sdp;
};

/// One UDP socket and all peer connections on it. Loop thread only. Knows no chunks. Destroying it
/// ends every connection: the peers are told, observers are destroyed without a further call. Not
/// to be destroyed from within an observer's call.
class Endpoint {
 public:
    virtual ~Endpoint() = default;

    /// Answers an SDP offer; the answer has every candidate of this endpoint already in it.
    /// kInvalid: malformed SDP (the detail says what), kNotFound: no data channel section in it,
    /// kLimit: too many connections.
    virtual Result<Answer> accept(std::string_view offer_sdp,
                                  std::unique_ptr<PeerObserver> observer) = 0;

    /// A trickled candidate of the peer: the value of `a=candidate:…`, with or without "a=" and
    /// "candidate:". Empty: the end of candidates. kNotFound: no such peer. kInvalid: malformed.
    /// mDNS names are tolerated.
    virtual Status add_remote_candidate(PeerId peer, std::string_view candidate) = 0;

    /// Ends a connection: SCTP abort, DTLS close_notify; on_closed follows.
    virtual void close(PeerId peer, const std::string& reason) = 0;

    virtual std::uint16_t port() const = 0;
    virtual std::vector<PeerInfo> peers() const = 0;
    virtual EndpointStats stats() const = 0;
};

/// Binds the socket. `certificate`, `clock`, `random` and `loop` outlive the endpoint.
/// kUnavailable: the port is taken or the address is not this machine's.
Result<std::unique_ptr<Endpoint>> open_endpoint(EventLoop& loop, const Clock& clock, Random& random,
                                                const Certificate& certificate,
                                                EndpointOptions options);

}  // namespace kollator::rtc
