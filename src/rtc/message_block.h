#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/bytes.h"

namespace kollator::rtc {

/// One message that can be given away, to another thread too, without a copy: a short head of its
/// own, and a body of which it holds a share.
class MessageBlock {
 public:
    static constexpr std::size_t kMaxHeadBytes = 24;

    MessageBlock() = default;
    /// REQUIRES: head.size() <= kMaxHeadBytes.
    MessageBlock(ByteSpan head, BufferSlice body);

    ByteSpan head() const { return ByteSpan(head_).first(head_bytes_); }
    ByteSpan body() const { return body_.bytes; }
    std::size_t size_bytes() const { return head_bytes_ + body_.bytes.size(); }

    /// Copies what of the message begins at `offset`. REQUIRES: it has so much.
    void copy(std::size_t offset, MutableByteSpan to) const;

 private:
    std::array<std::uint8_t, kMaxHeadBytes> head_{};
    std::uint8_t head_bytes_ = 0;
    BufferSlice body_;
};

/// A copy of `head` and `body`, joined.
MessageBlock make_message_block(ByteSpan head, ByteSpan body);

}  // namespace kollator::rtc
