#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "rtc/dtls/record.h"
#include "rtc/dtls/record_cipher.h"
#include "rtc/dtls/record_keys.h"

namespace kollator::rtc {

/// Which sequence numbers have come: the last 64, after RFC 6347 4.1.2.6 (and RFC 4303 3.4.3).
class ReplayWindow {
 public:
    static constexpr std::uint64_t kBits = 64;

    /// Neither seen nor too old to tell.
    bool is_new(std::uint64_t sequence) const;
    /// Only once the record has proved authentic.
    void mark(std::uint64_t sequence);

 private:
    std::uint64_t next_ = 0;  ///< one past the highest that was seen
    std::uint64_t seen_ = 0;  ///< bit i: next_ - 1 - i
};

/// The records of one epoch of DTLS 1.2 with AES-GCM, both ways (RFC 6347 4.1, RFC 5288), sans-IO:
/// takes over from OpenSSL once its handshake is done.
///
///     +-----------+----------------+------------+-----+
///     | header 13 | explicit nonce | ciphertext | tag |    nonce = salt 4 + explicit 8
///     |           |  8             |            | 16  |
///     +-----------+----------------+------------+-----+
class RecordLayer {
 public:
    static constexpr std::size_t kExplicitNonceBytes = 8;
    /// What a record has beside its plaintext: 37.
    static constexpr std::size_t kOverheadBytes =
        kRecordHeaderBytes + kExplicitNonceBytes + RecordCipher::kTagBytes;

    /// Null where memory is short. `first_sequence` is what we send next: those below it were used
    /// by the handshake.
    static std::unique_ptr<RecordLayer> make(const DirectionKeys& ours, const DirectionKeys& peers,
                                             std::uint64_t first_sequence);
    /// With ciphers of the caller's choice.
    RecordLayer(std::unique_ptr<RecordCipher> sealer, std::array<std::uint8_t, 4> our_salt,
                std::unique_ptr<RecordCipher> opener, std::array<std::uint8_t, 4> peers_salt,
                std::uint64_t first_sequence);

    /// Writes one record to `out` and gives its size; 0 where the sequence numbers are used up (the
    /// association is at its end) or the cipher refuses. REQUIRES: plain.size() <= kMaxRecordBytes
    /// and `out` has room for kOverheadBytes more, and does not overlap it.
    std::size_t seal(RecordType type, ByteSpan plain, MutableByteSpan out);

    /// Writes the plaintext of an authentic record that was not seen before to `out` and gives its
    /// size; empty for any other, which is to be dropped in silence (RFC 6347 4.1.2.7). REQUIRES:
    /// `out` has room for record.fragment.size().
    std::optional<std::size_t> open(const Record& record, MutableByteSpan out);

    std::uint64_t next_sequence() const { return next_sequence_; }

 private:
    const std::unique_ptr<RecordCipher> sealer_;
    const std::unique_ptr<RecordCipher> opener_;
    const std::array<std::uint8_t, 4> our_salt_;
    const std::array<std::uint8_t, 4> peers_salt_;
    std::uint64_t next_sequence_;
    ReplayWindow window_;
};

}  // namespace kollator::rtc
