#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "rtc/sctp/packet/wire.h"

namespace kollator::rtc::sctp {

/// RFC 6525 4.4: what became of a request.
enum class ResetResult : std::uint32_t {
    kNothingToDo = 0,
    kPerformed = 1,
    kDenied = 2,
    kWrongSsn = 3,
    kAlreadyInProgress = 4,
    kBadSequence = 5,
    kInProgress = 6,
};

/// "I reset these streams of mine" (RFC 6525 4.1); no list means all of them.
struct OutgoingResetRequest {
    std::uint32_t sequence = 0;
    std::uint32_t answers_sequence = 0;
    std::uint32_t last_tsn = 0;
    std::vector<std::uint16_t> streams;
};

/// "Reset these streams of yours" (RFC 6525 4.2).
struct IncomingResetRequest {
    std::uint32_t sequence = 0;
    std::vector<std::uint16_t> streams;
};

/// Anything else that wants an answer: all of them resets, or more streams.
struct OtherReconfigRequest {
    std::uint32_t sequence = 0;
};

struct ReconfigResponse {
    std::uint32_t sequence = 0;
    ResetResult result = ResetResult::kNothingToDo;
};

using ReconfigParameter = std::variant<OutgoingResetRequest, IncomingResetRequest,
                                       OtherReconfigRequest, ReconfigResponse>;

/// Takes the next parameter off a RE-CONFIG chunk's value; empty at its end, or at a malformed one.
std::optional<ReconfigParameter> take_reconfig(ByteSpan& rest);

void append_reconfig(Bytes& out, const OutgoingResetRequest& request);
void append_reconfig(Bytes& out, const ReconfigResponse& response);

}  // namespace kollator::rtc::sctp
