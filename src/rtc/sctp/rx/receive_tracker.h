#pragma once

#include <cstddef>
#include <vector>

#include "rtc/sctp/packet/packet_builder.h"
#include "rtc/sctp/packet/tsn.h"

namespace kollator::rtc::sctp {

/// Which TSNs have come, and what a SACK says of them. Pure.
class ReceiveTracker {
 public:
    enum class Arrival : std::uint8_t {
        kNew,
        kDuplicate,
        kTooFar,  ///< not to be reported in a SACK, so not to be kept
    };

    explicit ReceiveTracker(std::uint32_t first_tsn_on_wire)
        : cumulative_(first_tsn(first_tsn_on_wire) - 1) {}

    Tsn unwrap(std::uint32_t on_wire) const { return unwrap_tsn(on_wire, cumulative_); }
    Arrival classify(Tsn tsn) const;
    /// REQUIRES: classify() gives kNew.
    void add(Tsn tsn);
    /// For the SACK (RFC 9260 6.2: duplicates "SHOULD be reported").
    void add_duplicate(Tsn tsn);
    /// RFC 3758 3.6: what is not above `tsn` counts as received.
    void forward_to(Tsn tsn);

    Tsn cumulative() const { return cumulative_; }
    /// The highest that has come.
    Tsn highest() const { return ranges_.empty() ? cumulative_ : ranges_.back().last; }
    /// What has come above the first hole, in order.
    const std::vector<TsnRange>& ranges() const { return ranges_; }
    bool has_gaps() const { return !ranges_.empty(); }

    /// The least value of a SACK chunk, and one with all that fits. Forgets the duplicates.
    std::size_t sack_bytes() const;
    void write_sack(PacketBuilder& packet, std::uint32_t window_bytes);

 private:
    void absorb();

    Tsn cumulative_;
    std::vector<TsnRange> ranges_;
    std::vector<std::uint32_t> duplicates_;
};

}  // namespace kollator::rtc::sctp
