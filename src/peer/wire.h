#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/message.h"

namespace kollator::peer {

/// One reliable, ordered message channel to a worker, as Requests sees it. Loop thread only.
class Wire {
 public:
    virtual ~Wire() = default;

    /// Queues one binary message, `head` and `body` joined; both are copied before the call
    /// returns. kLimit: no room now, Requests::on_writable() follows. kCancelled: closing or
    /// closed. Never calls back into the requests.
    virtual Status send(ByteSpan head, ByteSpan body) = 0;
    /// The largest message that the worker takes. Does not change.
    virtual std::size_t max_message_bytes() const = 0;
    /// Sent and not acknowledged yet: what shrinks while the network takes it.
    virtual std::size_t buffered_bytes() const = 0;
    /// Grows with whatever arrives from the worker: parts of a message and acknowledgements too.
    virtual std::uint64_t signs_of_life() const = 0;
};

/// Seals and opens bodies once the two sides have a key (docs/protocol.md, section 5). Loop thread
/// only.
class BodyCipher {
 public:
    virtual ~BodyCipher() = default;
    /// `header` as it goes out, ENCRYPTED set.
    virtual Result<Bytes> seal(const protocol::Header& header, ByteSpan body) = 0;
    /// kCorrupt: it does not verify, or came before.
    virtual Result<Bytes> open(const protocol::Header& header, ByteSpan body) = 0;
    /// What seal() adds to a body.
    virtual std::size_t overhead_bytes() const = 0;
};

}  // namespace kollator::peer
