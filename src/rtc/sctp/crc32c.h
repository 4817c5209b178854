#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kollator::rtc {

/// CRC32C (Castagnoli), as SCTP's checksum (RFC 9260, appendix A). By the CPU's instruction where
/// it has one.
std::uint32_t crc32c(ByteSpan bytes);

/// The same by a table, on every machine; for the comparison in tests.
std::uint32_t crc32c_portable(ByteSpan bytes);

/// Writes the checksum into an SCTP packet: over all of it with zeros in its place (bytes 8..11),
/// stored with the least significant byte first. REQUIRES: packet.size() >= 12.
void write_sctp_checksum(MutableByteSpan packet);

}  // namespace kollator::rtc
