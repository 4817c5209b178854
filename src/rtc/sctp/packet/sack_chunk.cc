#include "rtc/sctp/packet/sack_chunk.h"

namespace kollator::rtc::sctp {

std::optional<SackChunk> SackChunk::parse(ByteSpan value) {
    if (value.size() < kHeaderBytes) return std::nullopt;
    const SackChunk sack(value);
    if (value.size() < kHeaderBytes + 4 * (sack.gap_count() + sack.duplicate_count())) {
        return std::nullopt;
    }
    return sack;
}

}  // namespace kollator::rtc::sctp
