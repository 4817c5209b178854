#pragma once

#include <optional>
#include <utility>

#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// RFC 3758 3.2, read in place: the new cumulative TSN, then pairs of a stream and the last message
/// of it that is skipped.
class ForwardTsnChunk {
 public:
    static std::optional<ForwardTsnChunk> parse(ByteSpan value) {
        if (value.size() < 4) return std::nullopt;
        return ForwardTsnChunk(value);
    }
    std::uint32_t tsn() const { return load_u32(value_.data()); }
    std::size_t skip_count() const { return (value_.size() - 4) / 4; }
    std::pair<std::uint16_t, std::uint16_t> skip(std::size_t index) const {
        const std::uint8_t* const at = value_.data() + 4 + 4 * index;
        return {load_u16(at), load_u16(at + 2)};
    }

 private:
    explicit ForwardTsnChunk(ByteSpan value) : value_(value) {}
    ByteSpan value_;
};

}  // namespace kollator::rtc::sctp
