#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace kollator::rtc {

/// One message in memory of its own, which can be given away without a copy.
struct MessageBlock {
    std::unique_ptr<std::uint8_t[]> bytes;
    std::size_t size_bytes = 0;

    ByteSpan span() const { return {bytes.get(), size_bytes}; }
};

/// `head` and `body`, joined.
MessageBlock make_message_block(ByteSpan head, ByteSpan body);

}  // namespace kollator::rtc
