#include "rtc/sctp/rx/receiver.h"

#include <algorithm>
#include <utility>

namespace kollator::rtc::sctp {
namespace {

/// What may come over the window to fill holes, beside one message: what was sent before the peer
/// saw the window shrink.
constexpr std::size_t kSlackBytes = 64 * 1024;
/// RFC 9260 6.2: a window update, when a quarter of the window is free again.
constexpr std::size_t kUpdateShare = 4;
/// What a peer may send ahead while memory is scarce: two fragments of 64 KiB, so that those who
/// hold nothing go on.
constexpr std::size_t kScarceBytes = 136 * 1024;

}  // namespace

Receiver::Receiver(BufferPool& pool, const ReceiverOptions& options)
    : options_(options),
      tracker_(options.first_tsn),
      reassembly_(pool, options.max_message_bytes),
      window_(options.window_bytes, options.max_window_bytes),
      promised_bytes_(options.window_bytes) {}

Receiver::Outcome Receiver::on_data(const DataChunk& data, const ReceiveLoad& load,
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
    if (!has_room(tsn, data.payload.size(), load)) {
        urgent_ = true;
        return Outcome::kOk;
    }
    // RFC 9260 6.2: "an endpoint MUST acknowledge ... immediately" while there are holes.
    urgent_ = urgent_ || tracker_.has_gaps();
    tracker_.add(tsn);
    urgent_ = urgent_ || tracker_.has_gaps();
    arrived_bytes_ += static_cast<std::uint32_t>(data.payload.size());
    promised_bytes_ -= std::min(promised_bytes_, data.payload.size());
    // 6.5: acknowledged, but not given on.
    if (data.stream >= options_.streams) return Outcome::kBadStream;
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

bool Receiver::end_packet(TimePoint now, std::optional<Duration> round_trip) {
    window_.on_arrived(std::exchange(arrived_bytes_, 0U), now, round_trip);
    const bool at_once = policy_.on_packet(now, urgent_);
    urgent_ = false;
    return at_once;
}

bool Receiver::has_room(Tsn tsn, std::size_t size, const ReceiveLoad& load) const {
    const std::size_t held = load.undelivered_bytes + reassembly_.held_bytes() + size;
    std::size_t most = window_.bytes();
    if (tsn < tracker_.highest()) most += options_.max_message_bytes + kSlackBytes;
    // What is next makes messages whole, after which they are read and gone. What lies behind a
    // hole is not told as received when it is dropped: no peer need send twice what it saw
    // acknowledged, which RFC 9260 6.2 would allow, and Chromium does not do.
    if (load.scarce && tsn != tracker_.cumulative() + 1) most = std::min(most, kScarceBytes);
    return held <= most;
}

/// How much the peer may send ahead of what is read.
std::size_t Receiver::most_ahead(const ReceiveLoad& load) const {
    return load.scarce ? std::min<std::size_t>(window_.bytes(), kScarceBytes) : window_.bytes();
}

std::size_t Receiver::free_window(const ReceiveLoad& load) const {
    const std::size_t held = load.undelivered_bytes + reassembly_.held_bytes();
    const std::size_t most = most_ahead(load);
    const std::size_t free = most - std::min(held, most);
    // RFC 9260 6.2 and RFC 1122 4.2.3.3: no window so small that packets become silly.
    return free < options_.mtu_bytes ? 0 : free;
}

void Receiver::check_window(const ReceiveLoad& load) {
    if (free_window(load) >= promised_bytes_ + most_ahead(load) / kUpdateShare) policy_.demand();
}

void Receiver::write_sack(PacketBuilder& packet, const ReceiveLoad& load) {
    promised_bytes_ = free_window(load);
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
