#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace kollator::rtc {

class Certificate;

enum class DtlsRole : std::uint8_t { kClient, kServer };

/// Where a DTLS transport's output goes. Called from within its methods: implementations queue, and
/// do not call back into the transport.
class DtlsSink {
 public:
    virtual ~DtlsSink() = default;
    /// One UDP datagram to the peer, valid for the call.
    virtual void on_dtls_datagram(ByteSpan datagram) = 0;
    /// Decrypted application data, one record (for WebRTC: one SCTP packet, RFC 8261).
    virtual void on_dtls_data(ByteSpan data) = 0;
};

/// One DTLS association (RFC 6347), sans-IO: datagrams and time go in, datagrams and records come
/// out. Loop thread only.
class DtlsTransport {
 public:
    enum class State : std::uint8_t { kHandshaking, kConnected, kClosed, kFailed };

    virtual ~DtlsTransport() = default;

    /// For the client: sends the first flight. For the server: nothing.
    virtual void start(TimePoint now) = 0;
    /// A datagram whose first byte is 20..63 (RFC 7983). Malformed ones are ignored.
    virtual void handle_datagram(ByteSpan datagram, TimePoint now) = 0;
    /// When handle_timeout wants to be called; empty: no timer runs.
    virtual std::optional<TimePoint> next_timeout() const = 0;
    virtual void handle_timeout(TimePoint now) = 0;
    /// Encrypts one record into one datagram. REQUIRES: state() == kConnected.
    virtual Status send(ByteSpan data) = 0;
    /// close_notify.
    virtual void close() = 0;

    virtual State state() const = 0;
    /// Why the state is kFailed, for logs: "certificate does not match the fingerprint", …
    virtual const std::string& failure() const = 0;
    /// SHA-256 of the certificate that the peer proved to own; empty before the handshake is over.
    virtual std::optional<std::array<std::uint8_t, 32>> peer_fingerprint() const = 0;
};

/// `remote_fingerprint`: SHA-256 of the peer's certificate as its SDP says; a certificate that does
/// not match ends in kFailed before any application data. Empty: any certificate is good.
/// `mtu_bytes`: the UDP payload.
/// `certificate` and `sink` outlive the transport.
std::unique_ptr<DtlsTransport> make_dtls_transport(
    const Certificate& certificate, DtlsRole role,
    const std::optional<std::array<std::uint8_t, 32>>& remote_fingerprint, std::size_t mtu_bytes,
    DtlsSink& sink);

}  // namespace kollator::rtc
