#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace kollator::rtc {

/// RFC 5246 6.2.1 and RFC 6347 4.1.
enum class RecordType : std::uint8_t {
    kChangeCipherSpec = 20,
    kAlert = 21,
    kHandshake = 22,
    kApplicationData = 23,
};

inline constexpr std::size_t kRecordHeaderBytes = 13;
/// RFC 6347 4.1: a record holds at most 2^14 bytes.
inline constexpr std::size_t kMaxRecordBytes = 16384;
/// {254, 253}: DTLS 1.2.
inline constexpr std::uint16_t kDtls12 = 0xfefd;
/// What a sequence number ends with: 48 bits.
inline constexpr std::uint64_t kLastSequence = (std::uint64_t{1} << 48) - 1;

/// One DTLS 1.2 record as it stands in a datagram (RFC 6347 4.1), not yet decrypted:
///
///      0      1         3       5                 11       13
///     +------+---------+-------+-----------------+--------+----------
///     | type | version | epoch | sequence number | length | fragment
///     +------+---------+-------+-----------------+--------+----------
struct Record {
    RecordType type{};
    std::uint16_t version = 0;
    std::uint16_t epoch = 0;
    std::uint64_t sequence = 0;
    ByteSpan fragment;  ///< a view into the datagram
};

/// Takes the next record off the front of `rest`; empty where what is there is none, or cut off.
/// The type may be one that the enum has not.
std::optional<Record> take_record(ByteSpan& rest);

/// Writes the header of a record whose fragment has `length` bytes. REQUIRES: `to` has room for
/// kRecordHeaderBytes.
void write_record_header(std::uint8_t* to, RecordType type, std::uint16_t epoch,
                         std::uint64_t sequence, std::size_t length);

}  // namespace kollator::rtc
