#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "rtc/message_block.h"

namespace kollator::rtc {

/// Told by an association. on_sctp_packet comes from within any of its methods: queue, do not call
/// back. All others but on_sctp_pending come from poll() only, where calling back is allowed.
class SctpObserver {
 public:
    virtual ~SctpObserver() = default;
    /// One SCTP packet for the peer, valid for the call.
    virtual void on_sctp_packet(ByteSpan packet) = 0;
    virtual void on_sctp_connected() = 0;
    /// One whole message, valid for the call.
    virtual void on_sctp_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message) = 0;
    /// The peer reset its outgoing side of a stream (RFC 6525).
    virtual void on_sctp_stream_reset(std::uint16_t stream) = 0;
    /// What reset_stream() asked for is done: the stream may be sent on again.
    virtual void on_sctp_stream_reset_done(std::uint16_t stream) = 0;
    /// After send() gave kLimit: at least half of the send buffer is free, and the message that was
    /// refused would fit.
    virtual void on_sctp_writable() = 0;
    /// send(), reset_stream() or a timer left something for poll(), which is wanted soon. From
    /// within those, but not while poll() runs: do not call back. usrsctp does not tell.
    virtual void on_sctp_pending() {}
    /// The last call.
    virtual void on_sctp_closed(const std::string& reason) = 0;
};

struct SctpOptions {
    std::uint16_t local_port = 5000;
    std::uint16_t remote_port = 5000;
    std::size_t mtu_bytes = 1160;  ///< of an SCTP packet: 1,197 of UDP payload less 37 of DTLS
    std::uint16_t max_streams = 256;
    std::size_t max_message_bytes = 262144;  ///< incoming, larger ones abort the association
    /// A message is taken as a whole or not at all, so the buffer is at least max_message_bytes.
    std::size_t send_buffer_bytes = 256 * 1024;
    /// What the send buffer grows to on a path that holds more (SendWindow): 335 Mbit/s at 100 ms,
    /// and at 50 ms twice that.
    std::size_t max_send_buffer_bytes = 4 * 1024 * 1024;
    /// The peer's window at least and at most; between, it is what the path needs (ReceiveWindow)
    /// and the stack's budget allows.
    std::size_t receive_buffer_bytes = 256 * 1024;
    std::size_t max_receive_buffer_bytes = 4 * 1024 * 1024;
};

struct SctpSendOptions {
    std::uint16_t stream = 0;
    std::uint32_t ppid = 0;
    bool ordered = true;
    // Partial reliability (RFC 3758); at most one of the two is used.
    std::int32_t max_retransmits = -1;  ///< -1: reliable
    std::int32_t max_lifetime_ms = -1;  ///< -1: reliable
};

/// One SCTP association over an encrypted datagram transport (RFC 9260 over RFC 8261). The narrow
/// interface behind which the implementation can be exchanged. Loop thread only.
class SctpAssociation {
 public:
    virtual ~SctpAssociation() = default;

    /// Begins the handshake; in WebRTC both sides do.
    virtual void connect(TimePoint now) = 0;
    virtual void handle_packet(ByteSpan packet, TimePoint now) = 0;
    /// Packets go by another path from now on, after which one went dead perhaps. usrsctp waits for
    /// its timers all the same.
    virtual void on_new_path(TimePoint) {}
    /// Delivers what has come in to the observer, and sends what there is to send. Called by the
    /// owner after handle_packet (once a batch is enough), after timers ran, and soon after
    /// on_sctp_pending; never from within an observer's call.
    virtual void poll(TimePoint now) = 0;
    /// True while poll() has something to deliver.
    virtual bool wants_poll() const = 0;
    /// While off, poll() delivers nothing: what has come waits here, and the peer's window shrinks
    /// by it. On at first. usrsctp does not know it, and delivers always.
    virtual void set_reading(bool /*on*/) {}

    /// One message from two parts, at least one byte in all. kLimit: no room in the send buffer
    /// now, or the stream is being reset. kInvalid: the stream is past outgoing_streams().
    /// kCancelled: not connected yet, or closed.
    virtual Status send(const SctpSendOptions& options, ByteSpan head, ByteSpan body) = 0;
    /// As send(), of a message that is the association's where it is taken.
    virtual Status give(const SctpSendOptions& options, MessageBlock& message) {
        return send(options, message.head(), message.body());
    }
    virtual std::size_t buffered_bytes() const = 0;
    virtual std::size_t writable_bytes() const = 0;
    /// How many streams the handshake left us to send on; 0 before it.
    virtual std::uint16_t outgoing_streams() const = 0;
    /// Packets go without a checksum, since the peer offered to take them so (RFC 9653). Not with
    /// usrsctp, which does not know of it.
    virtual bool zero_checksum() const { return false; }

    /// Resets our outgoing side of a stream once what is queued on it was sent.
    /// on_sctp_stream_reset_done follows.
    virtual void reset_stream(std::uint16_t stream) = 0;
    /// Sends ABORT and ends at once; on_sctp_closed is not called.
    virtual void abort() = 0;
};

/// For all associations of a stack together.
struct SctpStackOptions {
    /// Bytes that are sent and not acknowledged, or wait to be sent. Over it an association takes a
    /// message only when it has nothing else.
    std::size_t send_budget_bytes = 256 * 1024 * 1024;
    /// What was received and is not delivered, all that it takes. Receive windows grow beyond the
    /// least of each while it has room for what they promise. Past it peers may send little ahead;
    /// a quarter over it the associations that hold most end. At least 1 MiB counts. (usrsctp's:
    /// of this an association gets a sixteenth of what is left for its window; there is no bound.)
    std::size_t receive_budget_bytes = 256 * 1024 * 1024;
};

struct SctpStats {
    std::size_t buffered_bytes = 0;         ///< against send_budget_bytes
    std::size_t unread_bytes = 0;           ///< against receive_budget_bytes; not of usrsctp
    std::uint64_t retransmitted_bytes = 0;  ///< user data that was sent again
};

/// Makes associations and drives their timers; one for each loop. Outlives its associations.
class SctpStack {
 public:
    virtual ~SctpStack() = default;
    /// `observer` outlives the association.
    virtual std::unique_ptr<SctpAssociation> make(const SctpOptions& options,
                                                  SctpObserver& observer) = 0;
    /// Drives the timers of all associations; the owner calls it at next_timeout() and then
    /// poll()s.
    virtual void handle_timers(TimePoint now) = 0;
    virtual TimePoint next_timeout(TimePoint now) const = 0;
    /// While off, associations send control chunks only; what they have to send is kept, and asked
    /// for by on_sctp_pending when it is on again. On at first. usrsctp does not know it.
    virtual void set_output(bool /*on*/) {}
    virtual SctpStats stats() const = 0;
};

enum class SctpImplementation : std::uint8_t { kOwn, kUsrsctp };

/// Our own (sctp/own_stack.h). `random` outlives it. As many stacks as there are loops.
std::unique_ptr<SctpStack> make_sctp_stack(Random& random, const SctpStackOptions& options = {});

/// Debian's usrsctp in its nothreads mode. Process-wide underneath: one stack at a time.
std::unique_ptr<SctpStack> make_usrsctp_stack(const SctpStackOptions& options = {});

}  // namespace kollator::rtc
