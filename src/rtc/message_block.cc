#include "rtc/message_block.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace kollator::rtc {

MessageBlock::MessageBlock(ByteSpan head, BufferSlice body) : body_(std::move(body)) {
    KOLLATOR_CHECK(head.size() <= kMaxHeadBytes);
    std::copy(head.begin(), head.end(), head_.begin());
    head_bytes_ = static_cast<std::uint8_t>(head.size());
}

void MessageBlock::copy(std::size_t offset, MutableByteSpan to) const {
    KOLLATOR_CHECK(offset <= size_bytes() && to.size() <= size_bytes() - offset);
    std::uint8_t* out = to.data();
    std::size_t left = to.size();
    if (offset < head_bytes_) {
        const ByteSpan part = head().subspan(offset, std::min(left, head_bytes_ - offset));
        out = std::copy(part.begin(), part.end(), out);
        left -= part.size();
        offset += part.size();
    }
    if (left == 0) return;
    const ByteSpan part = body_.bytes.subspan(offset - head_bytes_, left);
    std::copy(part.begin(), part.end(), out);
}

MessageBlock make_message_block(ByteSpan head, ByteSpan body) {
    auto buffer = std::make_shared<Buffer>(head.size() + body.size());
    std::copy(body.begin(), body.end(), std::copy(head.begin(), head.end(), buffer->data()));
    const ByteSpan whole = std::as_const(*buffer).span();
    return {{}, {std::move(buffer), whole}};
}

}  // namespace kollator::rtc
