#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::rtc {

/// What an SCTP message on a data channel's stream carries (RFC 8831 8).
enum class Ppid : std::uint32_t {
    kDcep = 50,
    kString = 51,
    kBinary = 53,
    kStringEmpty = 56,  ///< one byte that means nothing: SCTP has no empty messages
    kBinaryEmpty = 57,
};

/// A label or protocol of a stranger's channel is kept as long as the channel is.
constexpr std::size_t kMaxChannelNameBytes = 1024;

enum class Reliability : std::uint8_t {
    kReliable = 0x00,
    kMaxRetransmits = 0x01,
    kMaxLifetime = 0x02,
};

/// DATA_CHANNEL_OPEN (RFC 8832 5.1):
///
///     0                   1                   2                   3
///     +---------------+---------------+-------------------------------+
///     | type 0x03     | channel type  | priority                      |
///     +---------------+---------------+-------------------------------+
///     | reliability parameter: retransmissions, or lifetime in ms     |
///     +-------------------------------+-------------------------------+
///     | label length                  | protocol length               |
///     +-------------------------------+-------------------------------+
///     | label, then protocol, both UTF-8                              |
///     +---------------------------------------------------------------+
struct DcepOpen {
    bool ordered = true;  ///< bit 0x80 of the channel type, inverted
    Reliability reliability = Reliability::kReliable;
    std::uint32_t reliability_parameter = 0;
    std::uint16_t priority = 0;
    std::string label;
    std::string protocol;

    bool operator==(const DcepOpen&) const = default;
};

enum class DcepType : std::uint8_t { kAck = 0x02, kOpen = 0x03 };

/// The kind of a DCEP message. kInvalid: empty, or neither.
Result<DcepType> dcep_type(ByteSpan message);

/// kInvalid: truncated, overlong, or an unknown channel type; kLimit: label or protocol over
/// kMaxChannelNameBytes.
Result<DcepOpen> parse_dcep_open(ByteSpan message);

/// REQUIRES: label and protocol have at most kMaxChannelNameBytes.
Bytes build_dcep_open(const DcepOpen& open);
Bytes build_dcep_ack();

}  // namespace kollator::rtc
