#pragma once

#include <optional>

#include "rtc/sctp/packet/init_chunk.h"

namespace kollator::rtc::sctp {

/// What an INIT told us, given to the peer to bring back (RFC 9260 5.1.3). The secret, drawn for
/// one association, tells ours from anything else. It is no MAC, and need be none: what reaches
/// SCTP came through DTLS from the one peer that this association is with, which can lie about
/// nothing here that it could not have said in its INIT.
struct StateCookie {
    std::uint64_t secret = 0;
    std::uint32_t local_tag = 0;
    InitChunk peer;  ///< without cookie and unrecognized
};

Bytes build_cookie(const StateCookie& cookie);
std::optional<StateCookie> parse_cookie(ByteSpan bytes);

}  // namespace kollator::rtc::sctp
