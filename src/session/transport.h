#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "protocol/message.h"

namespace kollator::session {

/// One reliable message channel to the peer, as a session sees it. Loop thread only.
class SessionTransport {
 public:
    virtual ~SessionTransport() = default;

    /// Queues one binary message, `head` and `body` joined; both are copied before the call
    /// returns. kLimit: no room now, Session::on_writable() follows. kCancelled: closing or closed.
    /// Never calls back into the session.
    virtual Status send(ByteSpan head, ByteSpan body) = 0;
    /// As send(), of a body of which a share may be kept until the peer has it, in place of a copy.
    virtual Status give(ByteSpan head, const BufferSlice& body) { return send(head, body.bytes); }
    /// How many bytes send() would take now.
    virtual std::size_t writable_bytes() const = 0;
    /// The largest message that the peer takes. Does not change.
    virtual std::size_t max_message_bytes() const = 0;
    /// False where messages may overtake each other.
    virtual bool ordered() const = 0;
    /// Session::on_close() follows, not from within the call.
    virtual void close() = 0;
};

/// Names a channel of one session; never used twice in it.
enum class ChannelHandle : std::uint64_t {};

/// Request ids mean something on their channel only.
struct RequestKey {
    ChannelHandle channel{};
    protocol::RequestId id{};

    auto operator<=>(const RequestKey&) const = default;
};

}  // namespace kollator::session
