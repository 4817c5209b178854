#pragma once

#include <optional>

#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// RFC 9260 3.3.1; flags: I, U, B, E from bit 3 to bit 0.
struct DataChunk {
    static constexpr std::size_t kHeaderBytes = 12;
    static constexpr std::uint8_t kEnd = 1;
    static constexpr std::uint8_t kBegin = 2;
    static constexpr std::uint8_t kUnordered = 4;
    static constexpr std::uint8_t kImmediate = 8;

    std::uint8_t flags = 0;
    std::uint32_t tsn = 0;
    std::uint16_t stream = 0;
    std::uint16_t ssn = 0;
    std::uint32_t ppid = 0;
    ByteSpan payload;

    bool begins() const { return (flags & kBegin) != 0; }
    bool ends() const { return (flags & kEnd) != 0; }
    bool unordered() const { return (flags & kUnordered) != 0; }
};

/// Empty where there is too little. A chunk without payload is taken: the caller's matter.
inline std::optional<DataChunk> parse_data(const Chunk& chunk) {
    if (chunk.value.size() < DataChunk::kHeaderBytes) return std::nullopt;
    const std::uint8_t* const at = chunk.value.data();
    return DataChunk{chunk.flags,      load_u32(at),     load_u16(at + 4),
                     load_u16(at + 6), load_u32(at + 8), chunk.value.subspan(12)};
}

/// The header without the payload. REQUIRES: room for kHeaderBytes.
inline void write_data_header(std::uint8_t* to, const DataChunk& data) {
    store_u32(to, data.tsn);
    store_u16(to + 4, data.stream);
    store_u16(to + 6, data.ssn);
    store_u32(to + 8, data.ppid);
}

}  // namespace kollator::rtc::sctp
