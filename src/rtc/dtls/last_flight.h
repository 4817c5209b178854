#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "rtc/dtls/record_keys.h"
#include "rtc/dtls/record_layer.h"

namespace kollator::rtc {

/// What a side sends at the end of its handshake, kept so that it can be sent again without the
/// library that made it: CHANGE_CIPHER_SPEC in epoch 0 and FINISHED in epoch 1.
class LastFlight {
 public:
    /// A new flight begins; what was noted of the last one is forgotten, but not the sequence
    /// numbers.
    void begin() { records_.clear(); }
    /// Notes the records of a datagram that goes out.
    void add(ByteSpan datagram);

    /// The first sequence number of epoch 1 that is not used yet.
    std::uint64_t next_sequence() const { return next_sequence_; }

    /// The handshake is done: decrypts what was noted, so that it can be sent with new sequence
    /// numbers. False where that fails.
    bool keep(const DirectionKeys& ours);
    /// The flight as one datagram. Empty where none was kept.
    Bytes again(RecordLayer& layer);

 private:
    struct Kept {
        RecordType type;
        std::uint16_t epoch;
        std::uint64_t sequence;
        Bytes bytes;  ///< the fragment; of epoch 1, after keep(), its plaintext
    };

    std::vector<Kept> records_;
    bool kept_ = false;
    std::uint64_t next_sequence_ = 0;        ///< of epoch 1
    std::uint64_t next_plain_sequence_ = 0;  ///< of epoch 0
};

}  // namespace kollator::rtc
