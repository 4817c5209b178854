#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// The first cause of an ERROR or ABORT chunk's value.
inline std::optional<std::uint16_t> first_cause(ByteSpan value) {
    const auto cause = take_parameter(value);
    if (!cause) return std::nullopt;
    return cause->type;
}

/// RFC 9260 3.3.10.
constexpr std::string_view cause_name(std::uint16_t cause) {
    constexpr std::string_view kNames[] = {
        "invalid stream identifier",
        "missing mandatory parameter",
        "stale cookie",
        "out of resource",
        "unresolvable address",
        "unrecognized chunk type",
        "invalid mandatory parameter",
        "unrecognized parameters",
        "no user data",
        "cookie received while shutting down",
        "restart with new addresses",
        "user-initiated abort",
        "protocol violation",
    };
    if (cause < 1 || cause > std::size(kNames)) return "unknown cause";
    return kNames[cause - 1];
}

}  // namespace kollator::rtc::sctp
