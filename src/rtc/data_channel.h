#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "rtc/message_block.h"

namespace kollator::rtc {

/// Of a channel that we open.
struct ChannelOptions {
    std::string label;
    std::string protocol;
    bool ordered = true;
};

/// A WebRTC data channel (RFC 8831, RFC 8832) as its user sees it. Owned by its peer connection,
/// valid until DataChannelObserver::on_close returned. Loop thread only.
class DataChannel {
 public:
    virtual ~DataChannel() = default;

    virtual std::string_view label() const = 0;
    virtual std::string_view protocol() const = 0;
    virtual bool ordered() const = 0;
    virtual std::uint16_t stream_id() const = 0;

    /// The largest message that the peer takes: its a=max-message-size (64 KiB where absent, RFC
    /// 8841), at most 262,144.
    virtual std::size_t max_message_bytes() const = 0;

    /// Queues one binary message, `head` and `body` joined (so that a body is not copied to put a
    /// header before it). The bytes are copied before the call returns. kLimit: the send buffer has
    /// no room for it now; wait for on_writable. kInvalid: over max_message_bytes(). kCancelled:
    /// closing or closed. May be called from within any callback of the observer.
    virtual Status send(ByteSpan head, ByteSpan body) = 0;

    /// As send(), of a message that is the channel's where it is taken, so that it need not be
    /// copied; left alone where it is not.
    virtual Status give(MessageBlock& message) { return send(message.head(), message.body()); }

    /// What is queued and not yet acknowledged or handed to the network, in bytes.
    virtual std::size_t buffered_bytes() const = 0;
    /// How many bytes send() would take now.
    virtual std::size_t writable_bytes() const = 0;

    /// Resets the stream; on_close follows. Messages already queued are still sent.
    virtual void close() = 0;
};

/// Told on the loop's thread. None of these is called from within a call to the channel.
class DataChannelObserver {
 public:
    virtual ~DataChannelObserver() = default;

    /// `message` is valid for the call only. Text messages have `binary` false.
    virtual void on_message(ByteSpan message, bool binary) = 0;
    /// After send() gave kLimit: there is room again (at least half of the send buffer).
    virtual void on_writable() = 0;
    /// The last call: closed by either side, or with the connection.
    virtual void on_close() = 0;
};

}  // namespace kollator::rtc
