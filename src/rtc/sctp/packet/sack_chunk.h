#pragma once

#include <optional>
#include <utility>

#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// RFC 9260 3.3.4, read in place.
///
///     cumulative TSN (4) | window (4) | gap blocks (2) | duplicates (2) | blocks 4 each | TSNs
class SackChunk {
 public:
    static constexpr std::size_t kHeaderBytes = 12;

    /// Empty where the counts do not fit the length.
    static std::optional<SackChunk> parse(ByteSpan value);

    std::uint32_t cumulative_tsn() const { return load_u32(value_.data()); }
    std::uint32_t window_bytes() const { return load_u32(value_.data() + 4); }
    std::size_t gap_count() const { return load_u16(value_.data() + 8); }
    std::size_t duplicate_count() const { return load_u16(value_.data() + 10); }
    /// First and last TSN of a block, as offsets from the cumulative TSN.
    std::pair<std::uint16_t, std::uint16_t> gap(std::size_t index) const {
        const std::uint8_t* const at = value_.data() + kHeaderBytes + 4 * index;
        return {load_u16(at), load_u16(at + 2)};
    }

 private:
    explicit SackChunk(ByteSpan value) : value_(value) {}
    ByteSpan value_;
};

}  // namespace kollator::rtc::sctp
