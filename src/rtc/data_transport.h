#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "rtc/data_channel.h"
#include "rtc/dtls/dtls_transport.h"

namespace kollator::rtc {

class Certificate;
class SctpStack;

/// Where a data transport's datagrams go. Called from within any of its methods: implementations
/// queue, and do not call back into the transport.
class DataTransportSink {
 public:
    virtual ~DataTransportSink() = default;
    /// The payload of one UDP datagram to the peer, valid for the call.
    virtual void on_transport_datagram(ByteSpan datagram) = 0;
    /// A call into the transport or a channel from outside poll() left something to do: poll() is
    /// wanted soon.
    virtual void on_transport_pending() {}
};

/// Told about one data transport, from within DataTransport::poll() only: each of these may call
/// back into the transport and its channels, but must not destroy the transport.
class DataTransportObserver {
 public:
    virtual ~DataTransportObserver() = default;
    /// DTLS and SCTP are up.
    virtual void on_transport_connected() = 0;
    /// A channel is open: the peer opened it, or it acknowledged one of ours (see open_channel).
    /// Gives its observer, which the transport keeps until after on_close; null refuses the
    /// channel, which is then reset.
    virtual std::unique_ptr<DataChannelObserver> on_transport_channel(DataChannel& channel) = 0;
    /// The last call, after every channel's on_close. `reason` is for logs: "peer closed",
    /// "dtls failed: …", "timeout", or what close() was given.
    virtual void on_transport_closed(const std::string& reason) = 0;
};

struct DataTransportOptions {
    DtlsRole role = DtlsRole::kServer;
    /// SHA-256, of the peer's a=fingerprint. Empty: any certificate is taken, since nothing told
    /// which it will be (direct dial).
    std::optional<std::array<std::uint8_t, 32>> remote_fingerprint;
    std::size_t mtu_bytes = 1197;           ///< UDP payload
    std::uint16_t remote_sctp_port = 5000;  ///< a=sctp-port
    /// a=max-message-size, 65,536 where absent (RFC 8841 6.1); 0: the peer takes any size.
    std::size_t remote_max_message_bytes = 65536;
    /// At first, and what they grow to where the path holds more (SctpOptions).
    std::size_t send_buffer_bytes = 256 * 1024;
    std::size_t max_send_buffer_bytes = 4 * 1024 * 1024;
    std::size_t receive_buffer_bytes = 256 * 1024;
    std::size_t max_receive_buffer_bytes = 4 * 1024 * 1024;
    Duration connect_timeout = std::chrono::seconds(30);  ///< from start() to connected
};

/// What stands above ICE for one peer: DTLS, SCTP and data channels (RFC 8261, 8831, 8832).
/// Sans-IO: datagrams and time go in, datagrams come out at once through the sink, and events
/// through poll().
///
/// The owner calls poll() after it fed datagrams (once a batch is enough), after handle_timeout(),
/// after SctpStack::handle_timers(), and soon after any call that it made to the transport or one
/// of its channels from elsewhere (close() ends with an event, too). SCTP's retransmissions
/// are driven by SctpStack::handle_timers, which serves all associations at once. Loop thread only.
class DataTransport {
 public:
    enum class State : std::uint8_t { kNew, kConnecting, kConnected, kClosed };

    virtual ~DataTransport() = default;

    /// Call once, when ICE has a pair. The DTLS client sends its first flight.
    virtual void start(TimePoint now) = 0;
    /// A datagram from the peer's validated address whose first byte is 20..63 (RFC 7983).
    /// Malformed ones are ignored. Before start(), and once closed, all are.
    virtual void handle_datagram(ByteSpan datagram, TimePoint now) = 0;
    /// What the sink is given goes by another path from now on.
    virtual void on_new_path(TimePoint now) = 0;
    /// When handle_timeout wants to be called (handshake retransmission, connect timeout); empty:
    /// no timer runs.
    virtual std::optional<TimePoint> next_timeout() const = 0;
    virtual void handle_timeout(TimePoint now) = 0;
    /// Delivers what has happened to the observers. Cheap when nothing has. Never from within an
    /// observer's call.
    virtual void poll(TimePoint now) = 0;

    /// Opens a channel of our own; may be called before the transport is connected. Gives its
    /// stream id; on_transport_channel follows with that id once the peer acknowledged; a
    /// peer that refuses it is silent. kLimit: too many channels. kInvalid: label or protocol over
    /// 1,024 bytes. kCancelled: closed.
    virtual Result<std::uint16_t> open_channel(const ChannelOptions& options) = 0;

    /// See SctpAssociation::set_reading.
    virtual void set_reading(bool on) = 0;

    /// SCTP ABORT and DTLS close_notify at once; then poll() tells on_close and
    /// on_transport_closed(reason). Idempotent. What is still queued is lost.
    virtual void close(const std::string& reason) = 0;

    virtual State state() const = 0;
    /// SHA-256 of the certificate that the peer proved to own; empty before the handshake.
    virtual std::optional<std::array<std::uint8_t, 32>> peer_fingerprint() const = 0;
    virtual std::size_t channel_count() const = 0;
    /// See SctpAssociation::zero_checksum.
    virtual bool zero_checksum() const = 0;
    /// True while poll() has something to deliver.
    virtual bool wants_poll() const = 0;
};

/// `certificate`, `stack`, `sink` and `observer` outlive the transport. Destroying it without
/// close() tells the peer and the observers nothing.
std::unique_ptr<DataTransport> make_data_transport(const Certificate& certificate, SctpStack& stack,
                                                   const DataTransportOptions& options,
                                                   DataTransportSink& sink,
                                                   DataTransportObserver& observer);

}  // namespace kollator::rtc
