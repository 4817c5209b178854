#include "rtc/message_block.h"

#include <algorithm>

namespace kollator::rtc {

MessageBlock make_message_block(ByteSpan head, ByteSpan body) {
    MessageBlock block;
    block.size_bytes = head.size() + body.size();
    block.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(block.size_bytes);
    std::copy(body.begin(), body.end(), std::copy(head.begin(), head.end(), block.bytes.get()));
    return block;
}

}  // namespace kollator::rtc
