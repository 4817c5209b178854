#pragma once

#include "base/result.h"
#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// INIT and INIT ACK (RFC 9260 3.3.2, 3.3.3), with what we know of their parameters.
struct InitChunk {
    std::uint32_t tag = 0;
    std::uint32_t window_bytes = 0;
    std::uint16_t outgoing_streams = 0;
    std::uint16_t incoming_streams = 0;
    std::uint32_t tsn = 0;
    Bytes cookie;                ///< INIT ACK only
    bool forward_tsn = false;    ///< RFC 3758
    bool reconfig = false;       ///< RFC 6525, listed in RFC 5061's supported extensions
    bool zero_checksum = false;  ///< RFC 9653, where DTLS detects errors
    Bytes unrecognized;          ///< parameters to be reported, whole, one after the other
};

/// kInvalid: not to be answered but by ABORT; the detail says what is wrong.
Result<InitChunk> parse_init(ByteSpan value);

/// The chunk's value. `unrecognized` goes out as parameters of that name (RFC 9260 3.3.3.1).
Bytes build_init(const InitChunk& init);

}  // namespace kollator::rtc::sctp
