#include "rtc/dtls/record.h"

namespace kollator::rtc {

std::optional<Record> take_record(ByteSpan& rest) {
    if (rest.size() < kRecordHeaderBytes) return std::nullopt;
    const std::size_t length = load_u16(rest.data() + 11);
    if (length > rest.size() - kRecordHeaderBytes) return std::nullopt;
    Record record;
    record.type = static_cast<RecordType>(rest[0]);
    record.version = load_u16(rest.data() + 1);
    record.epoch = load_u16(rest.data() + 3);
    record.sequence = load_u64(rest.data() + 3) & kLastSequence;
    record.fragment = rest.subspan(kRecordHeaderBytes, length);
    rest = rest.subspan(kRecordHeaderBytes + length);
    return record;
}

void write_record_header(std::uint8_t* to, RecordType type, std::uint16_t epoch,
                         std::uint64_t sequence, std::size_t length) {
    to[0] = static_cast<std::uint8_t>(type);
    store_u16(to + 1, kDtls12);
    store_u64(to + 3, (std::uint64_t{epoch} << 48) | sequence);
    store_u16(to + 11, static_cast<std::uint16_t>(length));
}

}  // namespace kollator::rtc
