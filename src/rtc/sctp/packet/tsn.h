#pragma once

#include <cstdint>

namespace kollator::rtc::sctp {

/// A TSN that does not wrap: its low 32 bits are on the wire. RFC 9260 6.1's serial arithmetic is
/// done once, where a number comes in.
using Tsn = std::uint64_t;

/// The first TSN of a direction. Above 2^32, so that smaller ones near it exist, too.
constexpr Tsn first_tsn(std::uint32_t on_wire) {
    return (Tsn{1} << 32) + on_wire;
}

/// The one of that low half which is nearest to `near`.
constexpr Tsn unwrap_tsn(std::uint32_t on_wire, Tsn near) {
    const auto distance = static_cast<std::int32_t>(on_wire - static_cast<std::uint32_t>(near));
    return near + static_cast<Tsn>(static_cast<std::int64_t>(distance));
}

struct TsnRange {
    Tsn first = 0;
    Tsn last = 0;
    bool operator==(const TsnRange&) const = default;
};

}  // namespace kollator::rtc::sctp
