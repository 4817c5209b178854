#include "rtc/turn/stream_framer.h"

#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

namespace {

// Both kinds have their length at bytes 2 and 3.
constexpr std::size_t kLengthEndsAt = 4;
constexpr std::size_t kChannelHeaderBytes = 4;

}  // namespace

void StreamFramer::push(ByteSpan bytes) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<ByteSpan>> StreamFramer::next() {
    const ByteSpan rest = ByteSpan(buffer_).subspan(taken_);
    if (rest.size() < kLengthEndsAt) return std::optional<ByteSpan>{};
    const std::size_t length = load_u16(rest.data() + 2);
    const bool stun = rest[0] < 4;
    const bool channel = rest[0] >= 0x40 && rest[0] <= 0x4F;
    if (!stun && !channel) return make_error(ErrorCode::kInvalid, "neither STUN nor ChannelData");
    const std::size_t size = length + (stun ? kStunHeaderBytes : kChannelHeaderBytes);
    const std::size_t padded = (size + 3) & ~std::size_t{3};
    if (rest.size() < padded) return std::optional<ByteSpan>{};
    taken_ += padded;
    return std::optional(rest.first(size));
}

}  // namespace kollator::rtc
