#include "rtc/dtls/last_flight.h"

#include <algorithm>
#include <utility>

namespace kollator::rtc {

void LastFlight::add(ByteSpan datagram) {
    while (const std::optional<Record> record = take_record(datagram)) {
        std::uint64_t& next = record->epoch == 0 ? next_plain_sequence_ : next_sequence_;
        next = std::max(next, record->sequence + 1);
        records_.push_back({record->type, record->epoch, record->sequence,
                            Bytes(record->fragment.begin(), record->fragment.end())});
    }
}

bool LastFlight::keep(const DirectionKeys& ours) {
    // Reads what we wrote ourselves.
    const auto reader = RecordLayer::make(ours, ours, 0);
    if (!reader) return false;
    for (Kept& kept : records_) {
        if (kept.epoch == 0) continue;
        Bytes plain(kept.bytes.size());
        const auto size =
            reader->open({kept.type, kDtls12, kept.epoch, kept.sequence, kept.bytes}, plain);
        if (!size) return false;
        plain.resize(*size);
        kept.bytes = std::move(plain);
    }
    kept_ = true;
    return true;
}

Bytes LastFlight::again(RecordLayer& layer) {
    Bytes datagram;
    if (!kept_) return datagram;
    for (const Kept& kept : records_) {
        const std::size_t at = datagram.size();
        if (kept.epoch == 0) {
            datagram.resize(at + kRecordHeaderBytes + kept.bytes.size());
            write_record_header(datagram.data() + at, kept.type, 0, next_plain_sequence_++,
                                kept.bytes.size());
            std::copy(kept.bytes.begin(), kept.bytes.end(),
                      datagram.begin() + static_cast<std::ptrdiff_t>(at + kRecordHeaderBytes));
        } else {
            datagram.resize(at + kept.bytes.size() + RecordLayer::kOverheadBytes);
            const std::size_t size =
                layer.seal(kept.type, kept.bytes, MutableByteSpan(datagram).subspan(at));
            datagram.resize(at + size);
        }
    }
    return datagram;
}

}  // namespace kollator::rtc
