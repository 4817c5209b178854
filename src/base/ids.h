#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/siphash.h"

namespace kollator {

/// A fixed number of bytes that name something. `Tag` makes each use a type of its own, so that a
/// chunk's name never stands where a DHT key is wanted.
template <typename Tag, std::size_t kBytes>
class BinaryId {
 public:
    static constexpr std::size_t kSize = kBytes;

    /// All zeros; sorts first.
    constexpr BinaryId() = default;
    explicit constexpr BinaryId(const std::array<std::uint8_t, kBytes>& bytes) : bytes_(bytes) {}

    /// Empty where the span is not exactly `kSize` bytes.
    static std::optional<BinaryId> from_bytes(ByteSpan bytes) {
        if (bytes.size() != kBytes) return std::nullopt;
        BinaryId id;
        std::copy(bytes.begin(), bytes.end(), id.bytes_.begin());
        return id;
    }

    /// The text form: exactly `2 * kSize` lowercase hex digits (protocol.md). Uppercase is refused,
    /// so that a name has one spelling in object keys and URLs.
    static std::optional<BinaryId> from_hex(std::string_view text) {
        if (text.size() != 2 * kBytes) return std::nullopt;
        if (std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; })) {
            return std::nullopt;
        }
        const auto bytes = kollator::from_hex(text);
        return bytes ? from_bytes(*bytes) : std::nullopt;
    }

    std::string hex() const { return to_hex(bytes_); }
    ByteSpan span() const { return bytes_; }
    const std::array<std::uint8_t, kBytes>& bytes() const { return bytes_; }

    auto operator<=>(const BinaryId&) const = default;

 private:
    std::array<std::uint8_t, kBytes> bytes_{};
};

/// SHA-256 of a chunk's bytes.
using ChunkId = BinaryId<struct ChunkIdTag, 32>;

/// SHA-256 of a torrent's bencoded info dictionary: the full BitTorrent v2 info-hash (BEP 52).
using MetadataId = BinaryId<struct MetadataIdTag, 32>;

/// A key of the BitTorrent DHT (BEP 5), 20 bytes.
using InfoHash = BinaryId<struct InfoHashTag, 20>;

/// BEP 52: "the truncated infohash", the first 20 bytes, stands where BEP 5 wants a SHA-1.
template <typename Tag>
InfoHash to_info_hash(const BinaryId<Tag, 32>& id) {
    return *InfoHash::from_bytes(id.span().first(InfoHash::kSize));
}

/// For hash maps keyed by what a stranger may choose (design.md, decision 10).
struct KeyedHash {
    template <typename Tag, std::size_t kBytes>
    std::size_t operator()(const BinaryId<Tag, kBytes>& id) const {
        return siphash(id.span());
    }
    std::size_t operator()(std::string_view text) const { return siphash(as_bytes(text)); }
    using is_transparent = void;
};

}  // namespace kollator
