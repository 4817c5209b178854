// The messages of the bulk cases. One definition for all languages: message_mix.mjs, aiortc_peer.py
// and pion_peer.go have the same, and either side compares what comes with its own.
//
// Message i (from 0) of a mix whose largest has `max` bytes, with h = (i * 2654435761 mod 2^32) /
// 256 rounded down:
//
//   i mod 8   bytes
//   0         1
//   1, 5      max
//   2, 6      1 + h mod min(max, 1500)
//   3, 7      1 + h mod min(max, 16384)
//   4         1 + h mod max
//
// so that two of five fit a packet or two, and those of `max` bytes carry three quarters.
//
// Its bytes are those of a table from i mod 65536 on; byte k of the table is the highest of x(k),
// where x(-1) = 1 and x(k) = x(k - 1) * 1664525 + 1013904223 mod 2^32 (Numerical Recipes'
// generator). A mix of n bytes ends with the message that makes it n at least: 100 MB are 1,245
// messages of up to 262,144 bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace kollator {

class MessageMix {
 public:
    explicit MessageMix(std::size_t max_bytes)
        : max_bytes_(max_bytes), table_(kStarts + max_bytes) {
        std::uint32_t x = 1;
        for (std::uint8_t& byte : table_) {
            x = x * 1664525 + 1013904223;
            byte = static_cast<std::uint8_t>(x >> 24);
        }
    }

    /// The message that is next, until take().
    ByteSpan next() const { return ByteSpan(table_).subspan(index_ % kStarts, size_bytes()); }
    void take() {
        taken_bytes_ += size_bytes();
        ++index_;
    }
    std::uint64_t taken_bytes() const { return taken_bytes_; }

    /// What is wrong with `message` as the next one; empty: nothing.
    std::string difference(ByteSpan message) const {
        const ByteSpan right = next();
        const std::string name = "message " + std::to_string(index_);
        if (message.size() != right.size()) {
            return name + " has " + std::to_string(message.size()) + " bytes, not " +
                   std::to_string(right.size());
        }
        const auto at = std::mismatch(message.begin(), message.end(), right.begin()).first;
        if (at == message.end()) return {};
        return name + " differs at byte " + std::to_string(at - message.begin());
    }

 private:
    static constexpr std::uint32_t kStarts = 65536;

    std::size_t size_bytes() const {
        const std::size_t hash = (index_ * 2654435761U) >> 8;
        switch (index_ % 8) {
            case 0:
                return 1;
            case 2:
            case 6:
                return 1 + hash % std::min<std::size_t>(max_bytes_, 1500);
            case 3:
            case 7:
                return 1 + hash % std::min<std::size_t>(max_bytes_, 16384);
            case 4:
                return 1 + hash % max_bytes_;
            default:
                return max_bytes_;
        }
    }

    const std::size_t max_bytes_;
    Bytes table_;
    std::uint32_t index_ = 0;
    std::uint64_t taken_bytes_ = 0;
};

}  // namespace kollator
