#include "rtc/sctp/tx/outstanding.h"

#include <algorithm>
#include <map>

namespace kollator::rtc::sctp {
namespace {

/// RFC 9002 6.1.2: 9/8 of a round trip; and no less than machines need to turn around.
constexpr int kReorderingNumerator = 9;
constexpr int kReorderingDenominator = 8;
constexpr Duration kLeastReordering = std::chrono::milliseconds(1);
constexpr Duration kUnknownRoundTrip = std::chrono::milliseconds(100);
constexpr std::uint64_t kMostReorderingPackets = 256;
/// Gaps in a SACK; some peers list 20 at most.
constexpr std::size_t kLongList = 20;

/// Calls `each(first, last)` for what is in `all` and not in `known`; both are in order.
template <typename Each>
void for_new(const std::vector<TsnRange>& all, const std::vector<TsnRange>& known, Each each) {
    std::size_t next = 0;
    for (const TsnRange& range : all) {
        Tsn from = range.first;
        while (next < known.size() && known[next].last < from) ++next;
        for (; next < known.size() && known[next].first <= range.last; ++next) {
            if (from < known[next].first) each(from, known[next].first - 1);
            from = known[next].last + 1;
            if (known[next].last >= range.last) break;
        }
        if (from <= range.last) each(from, range.last);
    }
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// The list of those in flight

void Outstanding::link(Tsn tsn) {
    Chunk& chunk = at(tsn);
    chunk.state = State::kInFlight;
    chunk.older = newest_;
    chunk.newer = 0;
    if (newest_ != 0) {
        at(newest_).newer = tsn;
    } else {
        oldest_ = tsn;
    }
    newest_ = tsn;
    in_flight_bytes_ += chunk.size_bytes;
}

void Outstanding::unlink(Tsn tsn) {
    Chunk& chunk = at(tsn);
    (chunk.older != 0 ? at(chunk.older).newer : oldest_) = chunk.newer;
    (chunk.newer != 0 ? at(chunk.newer).older : newest_) = chunk.older;
    chunk.older = chunk.newer = 0;
    in_flight_bytes_ -= chunk.size_bytes;
}

// ---------------------------------------------------------------------------------------------
// Sending

Tsn Outstanding::add(StreamQueues::Fragment fragment, TimePoint now, std::uint64_t order) {
    const Tsn tsn = next_tsn();
    Chunk chunk;
    chunk.offset = fragment.offset;
    chunk.size_bytes = fragment.size_bytes;
    chunk.ends = fragment.offset + fragment.size_bytes == fragment.message->size_bytes;
    chunk.message = std::move(fragment.message);
    chunk.order = order;
    chunk.sent = now;
    chunks_.push_back(std::move(chunk));
    link(tsn);
    return tsn;
}

std::optional<Tsn> Outstanding::next_lost() {
    while (!lost_.empty()) {
        const Tsn tsn = lost_.front();
        if (holds(tsn) && at(tsn).state == State::kLost) return tsn;
        lost_.pop_front();  // acknowledged or given up after all
    }
    return std::nullopt;
}

const Outstanding::Chunk& Outstanding::resend(Tsn tsn, TimePoint now, std::uint64_t order) {
    lost_.pop_front();
    Chunk& chunk = at(tsn);
    ++chunk.retransmits;
    chunk.order = order;
    chunk.sent = now;
    link(tsn);
    return chunk;
}

// ---------------------------------------------------------------------------------------------
// Acknowledgements

Outstanding::Acknowledged Outstanding::on_sack(const SackChunk& sack, TimePoint now,
                                               const RoundTrip& round_trip) {
    Acknowledged told;
    const Tsn cumulative = unwrap_tsn(sack.cumulative_tsn(), base_);
    // RFC 9260 6.2.1, i: "If the Cumulative TSN Ack is less than the Cumulative TSN Ack Point, then
    // drop the SACK chunk"; of what was never sent there is nothing to believe.
    if (cumulative + 1 < base_ || cumulative >= next_tsn()) {
        told.stale = true;
        return told;
    }
    sample_order_.reset();
    told.cumulative = cumulative >= base_;
    for (Tsn tsn = base_; tsn <= cumulative; ++tsn) acknowledge(tsn, now, round_trip, told);
    while (base_ <= cumulative) pop(told);
    take_gaps(sack, cumulative);
    for_new(gaps_, old_gaps_, [&](Tsn first, Tsn last) {
        for (Tsn tsn = first; tsn <= last; ++tsn) acknowledge(tsn, now, round_trip, told);
    });
    return told;
}

void Outstanding::take_gaps(const SackChunk& sack, Tsn cumulative) {
    gaps_.swap(old_gaps_);
    gaps_.clear();
    for (std::size_t i = 0; i < sack.gap_count(); ++i) {
        const auto [first, last] = sack.gap(i);
        TsnRange range{cumulative + first, std::min(cumulative + last, next_tsn() - 1)};
        if (!gaps_.empty()) range.first = std::max(range.first, gaps_.back().last + 1);
        range.first = std::max(range.first, base_);
        if (range.first <= range.last) gaps_.push_back(range);
    }
}

void Outstanding::acknowledge(Tsn tsn, TimePoint now, const RoundTrip& round_trip,
                              Acknowledged& told) {
    Chunk& chunk = at(tsn);
    if (chunk.state == State::kAcknowledged || chunk.state == State::kAbandoned) return;
    if (chunk.state == State::kInFlight) unlink(tsn);
    chunk.state = State::kAcknowledged;
    told.bytes += chunk.size_bytes;
    // RFC 9260 6.3.1, C5: "RTT measurements MUST NOT be made using packets that were
    // retransmitted". Nor do they tell of order if the answer may be to the first one.
    if (chunk.retransmits > 0 && now - chunk.sent < round_trip.shortest().value_or(Duration{0})) {
        return;
    }
    newest_acknowledged_ = std::max(newest_acknowledged_, chunk.order);
    if (chunk.retransmits > 0 || (sample_order_ && *sample_order_ > chunk.order)) return;
    sample_order_ = chunk.order;
    told.round_trip = now - chunk.sent;
}

void Outstanding::pop(Acknowledged& told) {
    Chunk& chunk = chunks_.front();
    OutMessage& message = *chunk.message;
    told.freed_bytes += chunk.size_bytes;
    message.ended_bytes += chunk.size_bytes;
    // What stands for the rest of a message that was given up has no bytes.
    if (chunk.size_bytes > 0 && message.ended_bytes == message.size_bytes) ++told.freed_messages;
    chunks_.pop_front();
    ++base_;
}

// ---------------------------------------------------------------------------------------------
// Losses

void Outstanding::mark_lost(Tsn tsn) {
    unlink(tsn);
    at(tsn).state = State::kLost;
    lost_.push_back(tsn);
}

Outstanding::Losses Outstanding::detect(TimePoint now, const RoundTrip& round_trip) {
    Losses losses;
    deadline_.reset();
    const Duration usual = round_trip.smoothed().value_or(kUnknownRoundTrip);
    const Duration patience =
        std::max(usual * kReorderingNumerator / kReorderingDenominator, kLeastReordering);
    while (oldest_ != 0) {
        const Chunk& chunk = at(oldest_);
        if (chunk.order >= newest_acknowledged_) break;
        const bool overtaken = newest_acknowledged_ - chunk.order >= reordering_packets_;
        if (!overtaken && chunk.sent + patience > now) {
            deadline_ = chunk.sent + patience;
            break;
        }
        losses.bytes += chunk.size_bytes;
        losses.newest_order = chunk.order;
        mark_lost(oldest_);
    }
    return losses;
}

void Outstanding::on_spurious() {
    reordering_packets_ = std::min(2 * reordering_packets_, kMostReorderingPackets);
}

void Outstanding::lose_all(bool again) {
    while (oldest_ != 0) mark_lost(oldest_);
    deadline_.reset();
    if (chunks_.empty()) return;
    // RFC 9260 6.2.1: what a peer no longer lists it may have thrown away again. But a list ends
    // where there was no more room: above a long one nothing is known, and at first the best is
    // believed.
    const bool cut = gaps_.size() >= kLongList && !again;
    const std::vector<TsnRange> all = {{base_, cut ? gaps_.back().last : next_tsn() - 1}};
    for_new(all, gaps_, [this](Tsn first, Tsn last) {
        for (Tsn tsn = first; tsn <= last; ++tsn) {
            if (at(tsn).state != State::kAcknowledged) continue;
            at(tsn).state = State::kLost;
            lost_.push_back(tsn);
        }
    });
}

bool Outstanding::lose_newest() {
    // One that would be given up instead is not asked about.
    if (newest_ == 0 || at(newest_).message->max_retransmits >= 0) return false;
    mark_lost(newest_);
    return true;
}

// ---------------------------------------------------------------------------------------------
// Giving up

void Outstanding::abandon(Tsn tsn) {
    const MessageRef reference = at(tsn).message;
    const OutMessage& message = *reference;
    const auto of_message = [&](Tsn each) { return holds(each) && &*at(each).message == &message; };
    Tsn first = tsn;
    while (of_message(first - 1)) --first;
    for (Tsn each = first; of_message(each); ++each) {
        if (at(each).state == State::kInFlight) unlink(each);
        if (at(each).state != State::kAcknowledged) at(each).state = State::kAbandoned;
    }
    if (message.sent_bytes == message.size_bytes) return;
    Chunk rest;
    rest.message = reference;
    rest.state = State::kAbandoned;
    rest.ends = true;
    chunks_.push_back(std::move(rest));
}

Tsn Outstanding::advanced_point() const {
    Tsn point = base_;
    while (holds(point) && chunk(point).state == State::kAbandoned) ++point;
    return point - 1;
}

Bytes Outstanding::forward_tsn_value(Tsn point) const {
    std::map<std::uint16_t, std::uint16_t> skipped;
    for (Tsn tsn = base_; tsn <= point; ++tsn) {
        const OutMessage& message = *chunk(tsn).message;
        if (message.ordered) skipped[message.stream] = message.ssn;
    }
    Bytes value;
    ByteWriter writer(value);
    writer.u32(static_cast<std::uint32_t>(point));
    for (const auto& [stream, ssn] : skipped) {
        writer.u16(stream);
        writer.u16(ssn);
    }
    return value;
}

}  // namespace kollator::rtc::sctp
