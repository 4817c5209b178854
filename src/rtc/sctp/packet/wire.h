#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace kollator::rtc::sctp {

// RFC 9260 3: a packet is a common header and chunks; a chunk may hold parameters.
//
//      0                   1                   2                   3
//      +-------------------------------+-------------------------------+
//      |     source port               |     destination port          |
//      +-------------------------------+-------------------------------+
//      |                      verification tag                         |
//      +---------------------------------------------------------------+
//      |                          checksum                             |
//      +---------------+---------------+-------------------------------+
//      |  chunk type   |  flags        |  length (4 + value)           |  4-byte aligned
//      +---------------+---------------+-------------------------------+
constexpr std::size_t kCommonHeaderBytes = 12;
constexpr std::size_t kChunkHeaderBytes = 4;

/// What each chunk and parameter takes of a packet: a multiple of 4.
constexpr std::size_t padded(std::size_t bytes) {
    return (bytes + 3) & ~std::size_t{3};
}

namespace chunk_type {
constexpr std::uint8_t kData = 0;
constexpr std::uint8_t kInit = 1;
constexpr std::uint8_t kInitAck = 2;
constexpr std::uint8_t kSack = 3;
constexpr std::uint8_t kHeartbeat = 4;
constexpr std::uint8_t kHeartbeatAck = 5;
constexpr std::uint8_t kAbort = 6;
constexpr std::uint8_t kShutdown = 7;
constexpr std::uint8_t kShutdownAck = 8;
constexpr std::uint8_t kError = 9;
constexpr std::uint8_t kCookieEcho = 10;
constexpr std::uint8_t kCookieAck = 11;
constexpr std::uint8_t kShutdownComplete = 14;
constexpr std::uint8_t kReconfig = 130;    // RFC 6525
constexpr std::uint8_t kForwardTsn = 192;  // RFC 3758
}  // namespace chunk_type

/// Causes of ERROR and ABORT (RFC 9260 3.3.10).
namespace error_cause {
constexpr std::uint16_t kInvalidStream = 1;
constexpr std::uint16_t kMissingParameter = 2;
constexpr std::uint16_t kOutOfResource = 4;
constexpr std::uint16_t kUnrecognizedChunk = 6;
constexpr std::uint16_t kInvalidParameter = 7;
constexpr std::uint16_t kUserAbort = 12;
constexpr std::uint16_t kProtocolViolation = 13;
}  // namespace error_cause

struct CommonHeader {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t tag = 0;
};

/// Takes the header off the front; empty where there is too little.
std::optional<CommonHeader> take_common_header(ByteSpan& packet);

struct Chunk {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    ByteSpan value;
};

/// Takes a chunk and its padding off the front of `rest`; empty at the end, or where the length is
/// wrong. A last chunk without its padding is taken.
std::optional<Chunk> take_chunk(ByteSpan& rest);

struct Parameter {
    std::uint16_t type = 0;
    ByteSpan value;
    ByteSpan whole;  ///< with its header, without padding
};

/// The same for parameters and error causes (RFC 9260 3.2.1).
std::optional<Parameter> take_parameter(ByteSpan& rest);

/// Appends a parameter and its padding.
void append_parameter(Bytes& out, std::uint16_t type, ByteSpan value);

// What to do about a type that we do not know stands in its two highest bits (RFC 9260 3.2).
constexpr bool must_skip(std::uint8_t chunk) {
    return (chunk & 0x80) != 0;
}
constexpr bool must_report(std::uint8_t chunk) {
    return (chunk & 0x40) != 0;
}
constexpr bool must_skip_parameter(std::uint16_t type) {
    return (type & 0x8000) != 0;
}
constexpr bool must_report_parameter(std::uint16_t type) {
    return (type & 0x4000) != 0;
}

}  // namespace kollator::rtc::sctp
