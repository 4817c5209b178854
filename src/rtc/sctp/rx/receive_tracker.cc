#include "rtc/sctp/rx/receive_tracker.h"

#include <algorithm>

#include "rtc/sctp/packet/sack_chunk.h"

namespace kollator::rtc::sctp {
namespace {

/// A gap block is told by offsets of 16 bits.
constexpr Tsn kMaxSpan = 65535;
/// More holes than that and what comes above is dropped: the peer sends it again.
constexpr std::size_t kMaxRanges = 1024;
constexpr std::size_t kMaxDuplicates = 16;
/// RFC 9260 6.2: as many blocks as fit. What a SACK does not list its reader takes for missing:
/// with 64, a path that dropped more of a window stood still until those holes were filled.
constexpr std::size_t kMaxReportedRanges = 256;

/// The first range that ends at `tsn` or above it.
template <typename Ranges>
auto range_at(Ranges& ranges, Tsn tsn) {
    return std::lower_bound(ranges.begin(), ranges.end(), tsn,
                            [](const TsnRange& range, Tsn at) { return range.last < at; });
}

}  // namespace

ReceiveTracker::Arrival ReceiveTracker::classify(Tsn tsn) const {
    if (tsn <= cumulative_) return Arrival::kDuplicate;
    if (tsn == cumulative_ + 1 || ranges_.empty() || tsn > ranges_.back().last) {
        if (tsn > cumulative_ + kMaxSpan) return Arrival::kTooFar;
    } else {
        const auto at = range_at(ranges_, tsn);
        if (at != ranges_.end() && at->first <= tsn) return Arrival::kDuplicate;
    }
    return ranges_.size() >= kMaxRanges && tsn != cumulative_ + 1 ? Arrival::kTooFar
                                                                  : Arrival::kNew;
}

void ReceiveTracker::add(Tsn tsn) {
    if (tsn == cumulative_ + 1) {
        cumulative_ = tsn;
        if (!ranges_.empty()) absorb();
        return;
    }
    if (!ranges_.empty() && ranges_.back().last + 1 == tsn) {
        ranges_.back().last = tsn;
        return;
    }
    const auto at = range_at(ranges_, tsn);
    const bool joins_next = at != ranges_.end() && at->first == tsn + 1;
    const bool joins_previous = at != ranges_.begin() && (at - 1)->last + 1 == tsn;
    if (joins_next && joins_previous) {
        (at - 1)->last = at->last;
        ranges_.erase(at);
    } else if (joins_next) {
        at->first = tsn;
    } else if (joins_previous) {
        (at - 1)->last = tsn;
    } else {
        ranges_.insert(at, {tsn, tsn});
    }
}

void ReceiveTracker::add_duplicate(Tsn tsn) {
    if (duplicates_.size() < kMaxDuplicates) {
        duplicates_.push_back(static_cast<std::uint32_t>(tsn));
    }
}

void ReceiveTracker::forward_to(Tsn tsn) {
    if (tsn <= cumulative_) return;
    cumulative_ = tsn;
    absorb();
}

/// The lowest ranges may now lie below the cumulative TSN, or reach it.
void ReceiveTracker::absorb() {
    auto at = ranges_.begin();
    for (; at != ranges_.end() && at->first <= cumulative_ + 1; ++at) {
        cumulative_ = std::max(cumulative_, at->last);
    }
    ranges_.erase(ranges_.begin(), at);
}

std::size_t ReceiveTracker::sack_bytes() const {
    return SackChunk::kHeaderBytes +
           4 * (std::min(ranges_.size(), kMaxReportedRanges) + duplicates_.size());
}

void ReceiveTracker::write_sack(PacketBuilder& packet, std::uint32_t window_bytes) {
    std::size_t left = packet.room() / 4 - SackChunk::kHeaderBytes / 4;
    const std::size_t gaps = std::min({ranges_.size(), kMaxReportedRanges, left});
    left -= gaps;
    const std::size_t duplicates = std::min(duplicates_.size(), left);
    const MutableByteSpan value =
        packet.add(chunk_type::kSack, 0, SackChunk::kHeaderBytes + 4 * (gaps + duplicates));
    std::uint8_t* at = value.data();
    store_u32(at, static_cast<std::uint32_t>(cumulative_));
    store_u32(at + 4, window_bytes);
    store_u16(at + 8, static_cast<std::uint16_t>(gaps));
    store_u16(at + 10, static_cast<std::uint16_t>(duplicates));
    at += SackChunk::kHeaderBytes;
    for (std::size_t i = 0; i < gaps; ++i, at += 4) {
        store_u16(at, static_cast<std::uint16_t>(ranges_[i].first - cumulative_));
        store_u16(at + 2, static_cast<std::uint16_t>(ranges_[i].last - cumulative_));
    }
    for (std::size_t i = 0; i < duplicates; ++i, at += 4) store_u32(at, duplicates_[i]);
    duplicates_.clear();
}

}  // namespace kollator::rtc::sctp
