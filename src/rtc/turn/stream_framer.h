#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::rtc {

/// Cuts a stream from a TURN server into messages (RFC 8656 12.5, RFC 8489 6.2.2): STUN messages,
/// whose header says their length, and ChannelData, padded to four bytes. Whoever drains it after
/// each push() holds one message at most, which has 65,555 bytes.
class StreamFramer {
 public:
    void push(ByteSpan bytes);
    /// The next whole message without its padding, valid until the next call; empty where more is
    /// needed. kInvalid: no stream of messages; nothing more can be read from it.
    Result<std::optional<ByteSpan>> next();

 private:
    Bytes buffer_;
    std::size_t taken_ = 0;
};

}  // namespace kollator::rtc
