#include "rtc/sctp/send_ledger.h"

#include <algorithm>

namespace kollator::rtc {
namespace {

constexpr std::size_t kCommonHeaderBytes = 12;
constexpr std::size_t kChunkHeaderBytes = 4;  // type, flags, length
constexpr std::size_t kDataHeaderBytes = 16;  // and TSN, stream, sequence number, PPID
constexpr std::uint8_t kDataType = 0;
constexpr std::uint8_t kSackType = 3;

/// RFC 1982, as RFC 9260 1.6 compares TSNs.
bool after(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) > 0;
}

/// Calls `each(type, chunk)` for every whole chunk of a packet; stops where it says false.
template <typename Each>
void for_each_chunk(ByteSpan packet, Each each) {
    if (packet.size() < kCommonHeaderBytes) return;
    ByteSpan rest = packet.subspan(kCommonHeaderBytes);
    while (rest.size() >= kChunkHeaderBytes) {
        const std::size_t length = load_u16(rest.data() + 2);
        if (length < kChunkHeaderBytes || length > rest.size()) return;
        if (!each(rest[0], rest.first(length))) return;
        const std::size_t padded = (length + 3) & ~std::size_t{3};
        rest = rest.subspan(std::min(padded, rest.size()));
    }
}

}  // namespace

void SendLedger::add_message(std::size_t size_bytes) {
    buffered_bytes_ += size_bytes;
    taken_bytes_ += size_bytes;
    message_ends_.push_back(taken_bytes_);
}

void SendLedger::take_back_message(std::size_t size_bytes) {
    buffered_bytes_ -= std::min(size_bytes, buffered_bytes_);
    taken_bytes_ -= size_bytes;
    if (!message_ends_.empty()) message_ends_.pop_back();
}

void SendLedger::on_packet_out(ByteSpan packet, TimePoint now) {
    for_each_chunk(packet, [this, now](std::uint8_t type, ByteSpan chunk) {
        if (type != kDataType || chunk.size() < kDataHeaderBytes) return true;
        const std::uint32_t tsn = load_u32(chunk.data() + kChunkHeaderBytes);
        if (sent_any_ && !after(tsn, highest_tsn_)) {
            retransmitted_bytes_ += chunk.size() - kDataHeaderBytes;
            // Karn: whose acknowledgement it is could not be told.
            if (probe_ && !after(tsn, probe_->tsn)) probe_.reset();
            return true;
        }
        sent_any_ = true;
        highest_tsn_ = tsn;
        if (!probe_) probe_ = {tsn, now};
        in_flight_bytes_ += chunk.size() - kDataHeaderBytes;
        in_flight_.push_back({tsn, static_cast<std::uint32_t>(chunk.size() - kDataHeaderBytes)});
        return true;
    });
}

SendLedger::Acknowledged SendLedger::on_packet_in(ByteSpan packet, TimePoint now) {
    Acknowledged result;
    for_each_chunk(packet, [&](std::uint8_t type, ByteSpan chunk) {
        if (type == kDataType) return false;  // control chunks come first (RFC 9260 6.10)
        if (type != kSackType || chunk.size() < kChunkHeaderBytes + 4) return true;
        const std::uint32_t cumulative = load_u32(chunk.data() + kChunkHeaderBytes);
        while (!in_flight_.empty() && !after(in_flight_.front().tsn, cumulative)) {
            result.bytes += in_flight_.front().size_bytes;
            in_flight_bytes_ -= in_flight_.front().size_bytes;
            in_flight_.pop_front();
        }
        if (probe_ && !after(probe_->tsn, cumulative)) {
            result.round_trip = now - probe_->sent;
            probe_.reset();
        }
        return true;
    });
    if (result.bytes > 0) settle(buffered_bytes_ - std::min(result.bytes, buffered_bytes_));
    return result;
}

void SendLedger::resync(std::size_t free_bytes) {
    settle(capacity_bytes_ - std::min(free_bytes, capacity_bytes_));
}

void SendLedger::settle(std::size_t buffered_bytes) {
    buffered_bytes_ = buffered_bytes;
    const std::uint64_t done = taken_bytes_ - std::min<std::uint64_t>(buffered_bytes, taken_bytes_);
    while (!message_ends_.empty() && message_ends_.front() <= done) message_ends_.pop_front();
}

}  // namespace kollator::rtc
