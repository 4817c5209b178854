#pragma once

#include <map>

#include "rtc/sctp/tx/out_message.h"
#include "rtc/sctp/tx/ring.h"

namespace kollator::rtc::sctp {

/// What waits to be sent, by stream. The streams take turns, a message each: the fragments of one
/// have TSNs in a row (RFC 9260 6.9), so nothing can come between them.
class StreamQueues {
 public:
    /// What goes into the next chunk.
    struct Fragment {
        MessageRef message;
        std::uint32_t offset = 0;
        std::uint16_t size_bytes = 0;
    };

    void push(MessageRef message);
    bool empty() const { return messages_ == 0; }
    std::size_t messages() const { return messages_; }
    bool has(std::uint16_t stream) const;

    /// Bytes of the message in turn that are not cut yet. REQUIRES: !empty().
    std::size_t next_bytes();
    /// The message in turn. REQUIRES: !empty().
    const OutMessage& next_message();
    /// Cuts up to `max_bytes` off the message in turn; numbers it with its first fragment.
    /// REQUIRES: !empty(), max_bytes > 0.
    Fragment cut(std::size_t max_bytes);
    /// Takes the message in turn, sent in part or not at all, out. REQUIRES: !empty().
    MessageRef drop_next();
    /// Takes a message out that is sent in part, if this is the one.
    void drop(const OutMessage& message);

    /// RFC 6525 5.1.2: the stream begins anew with SSN 0.
    void reset_stream(std::uint16_t stream);
    void clear();

 private:
    struct Stream {
        std::uint16_t next_ssn = 0;
        Ring<MessageRef> messages;
    };

    /// The stream in turn.
    Stream& current();
    void finish_message();

    std::map<std::uint16_t, Stream> streams_;
    Ring<std::uint16_t> turns_;  ///< streams that have messages; the front one is in turn
    std::size_t messages_ = 0;
};

}  // namespace kollator::rtc::sctp
