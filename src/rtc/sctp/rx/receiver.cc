#include "rtc/sctp/rx/receiver.h"

#include <algorithm>

namespace kollator::rtc::sctp {
namespace {

/// What may come over the window to fill holes, beside one message: what was sent before the peer
/// saw the window shrink.
constexpr std::size_t kSlackBytes = 64 * 1024;
/// RFC 9260 6.2: a window update, when a quarter of the window is free again.
constexpr std::size_t kUpdateShare = 4;

}  // namespace

Receiver::Receiver(BufferPool& pool, const ReceiverOptions& options)
    : options_(options),
      tracker_(options.first_tsn),
      reassembly_(pool, options.max_message_bytes),
      promised_bytes_(options.window_bytes) {}

Receiver::Outcome Receiver::on_data(const DataChunk& data, std::size_t undelivered_bytes,
                                    std::vector<ReceivedMessage>& out) {
    const Tsn tsn = tracker_.unwrap(data.tsn);
    if ((data.flags & DataChunk::kImmediate) != 0) policy_.demand();
    const auto arrival = tracker_.classify(tsn);
    if (arrival != ReceiveTracker::Arrival::kNew) {
        if (arrival == ReceiveTracker::Arrival::kDuplicate) tracker_.add_duplicate(tsn);
        urgent_ = true;
        return Outcome::kOk;
    }
    if (data.payload.empty()) return Outcome::kEmpty;
    if (!has_room(tsn, data.payload.size(), undelivered_bytes)) {
        urgent_ = true;
        return Outcome::kOk;
    }
    // RFC 9260 6.2: "an endpoint MUST acknowledge ... immediately" while there are holes.
    urgent_ = urgent_ || tracker_.has_gaps();
    tracker_.add(tsn);
    urgent_ = urgent_ || tracker_.has_gaps();
    promised_bytes_ -= std::min(promised_bytes_, data.payload.size());
    // 6.5: acknowledged, but not given on.
    if (data.stream >= options_.streams) return Outcome::kBadStream;
    if (used_.size() <= data.stream) used_.resize(std::size_t{data.stream} + 1);
    used_[data.stream] = true;
    switch (reassembly_.add(tsn, data, out)) {
        case Reassembly::Outcome::kTooLarge:
            return Outcome::kTooLarge;
        case Reassembly::Outcome::kViolation:
            return Outcome::kViolation;
        case Reassembly::Outcome::kOk:
            break;
    }
    return Outcome::kOk;
}

std::vector<std::uint16_t> Receiver::used_streams() const {
    std::vector<std::uint16_t> used;
    for (std::size_t stream = 0; stream < used_.size(); ++stream) {
        if (used_[stream]) used.push_back(static_cast<std::uint16_t>(stream));
    }
    return used;
}

bool Receiver::end_packet(TimePoint now) {
    const bool at_once = policy_.on_packet(now, urgent_);
    urgent_ = false;
    return at_once;
}

bool Receiver::has_room(Tsn tsn, std::size_t size, std::size_t undelivered_bytes) const {
    const std::size_t held = undelivered_bytes + reassembly_.held_bytes() + size;
    if (held <= options_.window_bytes) return true;
    return tsn < tracker_.highest() &&
           held <= options_.window_bytes + options_.max_message_bytes + kSlackBytes;
}

std::size_t Receiver::window(std::size_t undelivered_bytes) const {
    const std::size_t held = undelivered_bytes + reassembly_.held_bytes();
    const std::size_t free = options_.window_bytes - std::min(held, options_.window_bytes);
    // RFC 9260 6.2 and RFC 1122 4.2.3.3: no window so small that packets become silly.
    return free < options_.mtu_bytes ? 0 : free;
}

void Receiver::check_window(std::size_t undelivered_bytes) {
    if (window(undelivered_bytes) >= promised_bytes_ + options_.window_bytes / kUpdateShare) {
        policy_.demand();
    }
}

void Receiver::write_sack(PacketBuilder& packet, std::size_t undelivered_bytes) {
    promised_bytes_ = window(undelivered_bytes);
    tracker_.write_sack(packet, static_cast<std::uint32_t>(promised_bytes_));
    policy_.on_sent();
}

void Receiver::on_forward_tsn(const ForwardTsnChunk& forward, std::vector<ReceivedMessage>& out) {
    const Tsn tsn = tracker_.unwrap(forward.tsn());
    policy_.demand();
    // RFC 3758 3.6: an old one is answered by a SACK, too, but else discarded: what it skips may
    // have begun anew since (RFC 6525).
    if (tsn <= tracker_.cumulative()) return;
    tracker_.forward_to(tsn);
    reassembly_.forward_to(tsn, tracker_.cumulative());
    for (std::size_t i = 0; i < forward.skip_count(); ++i) {
        const auto [stream, ssn] = forward.skip(i);
        if (stream < options_.streams) reassembly_.skip(stream, ssn, out);
    }
}

}  // namespace kollator::rtc::sctp
