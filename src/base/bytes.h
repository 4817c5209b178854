#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kollator {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;  ///< never outlives the call it is given to
using MutableByteSpan = std::span<std::uint8_t>;

inline ByteSpan as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Lowercase hexadecimal, two digits a byte.
std::string to_hex(ByteSpan bytes);

/// Accepts both cases. Empty where a character is no hex digit or the length is odd.
std::optional<Bytes> from_hex(std::string_view text);

// Big-endian integers, as on the wire. REQUIRES: `to`/`from` has the room.
inline void store_u16(std::uint8_t* to, std::uint16_t value) {
    to[0] = static_cast<std::uint8_t>(value >> 8);
    to[1] = static_cast<std::uint8_t>(value);
}
inline void store_u32(std::uint8_t* to, std::uint32_t value) {
    store_u16(to, static_cast<std::uint16_t>(value >> 16));
    store_u16(to + 2, static_cast<std::uint16_t>(value));
}
inline void store_u64(std::uint8_t* to, std::uint64_t value) {
    store_u32(to, static_cast<std::uint32_t>(value >> 32));
    store_u32(to + 4, static_cast<std::uint32_t>(value));
}
inline std::uint16_t load_u16(const std::uint8_t* from) {
    return static_cast<std::uint16_t>((from[0] << 8) | from[1]);
}
inline std::uint32_t load_u32(const std::uint8_t* from) {
    return (static_cast<std::uint32_t>(load_u16(from)) << 16) | load_u16(from + 2);
}
inline std::uint64_t load_u64(const std::uint8_t* from) {
    return (static_cast<std::uint64_t>(load_u32(from)) << 32) | load_u32(from + 4);
}

/// Takes big-endian fields off the front of a span. After a read that finds too little, `ok()` is
/// false and every further read gives zeros: check once, at the end.
class ByteReader {
 public:
    explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

    std::uint8_t u8() { return need(1) ? take(1)[0] : std::uint8_t{0}; }
    std::uint16_t u16() { return need(2) ? load_u16(take(2).data()) : std::uint16_t{0}; }
    std::uint32_t u32() { return need(4) ? load_u32(take(4).data()) : 0; }
    std::uint64_t u64() { return need(8) ? load_u64(take(8).data()) : 0; }
    /// A view into the input; empty where there is too little.
    ByteSpan bytes(std::size_t count) { return need(count) ? take(count) : ByteSpan{}; }

    ByteSpan rest() const { return rest_; }
    std::size_t remaining() const { return rest_.size(); }
    bool ok() const { return ok_; }

 private:
    bool need(std::size_t count) {
        if (rest_.size() < count) {
            ok_ = false;
            rest_ = {};
        }
        return ok_;
    }
    ByteSpan take(std::size_t count) {
        ByteSpan head = rest_.first(count);
        rest_ = rest_.subspan(count);
        return head;
    }

    ByteSpan rest_;
    bool ok_ = true;
};

/// Appends big-endian fields to a byte vector that the caller owns.
class ByteWriter {
 public:
    explicit ByteWriter(Bytes& out) : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) { store_u16(grow(2), value); }
    void u32(std::uint32_t value) { store_u32(grow(4), value); }
    void u64(std::uint64_t value) { store_u64(grow(8), value); }
    void bytes(ByteSpan value) { out_.insert(out_.end(), value.begin(), value.end()); }

 private:
    std::uint8_t* grow(std::size_t count) {
        out_.resize(out_.size() + count);
        return out_.data() + out_.size() - count;
    }

    Bytes& out_;
};

}  // namespace kollator
