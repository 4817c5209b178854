#include "chunk/denylist.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace kollator::chunk {
namespace {

constexpr std::string_view kRefused = "refused: the operator of this worker denies this content";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> kDigits = [] {
    std::array<std::uint8_t, 256> digits{};
    digits.fill(kNoDigit);
    for (std::uint8_t n = 0; n < 10; ++n) digits['0' + n] = n;
    for (std::uint8_t n = 0; n < 6; ++n) {
        digits['a' + n] = digits['A' + n] = static_cast<std::uint8_t>(10 + n);
    }
    return digits;
}();

std::optional<Denylist::Hash> parse_hash(std::string_view text) {
    Denylist::Hash hash{};
    if (text.size() != 2 * hash.size()) return std::nullopt;
    const char* at = text.data();
    std::uint8_t all = 0;  // kNoDigit has bits that no digit has
    for (std::uint8_t& byte : hash) {
        const std::uint8_t high = kDigits[static_cast<std::uint8_t>(*at++)];
        const std::uint8_t low = kDigits[static_cast<std::uint8_t>(*at++)];
        all |= high | low;
        byte = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (all > 0xF) return std::nullopt;
    return hash;
}

/// Ascending, as the bytes are: nearly always decided by the first eight.
constexpr auto kBefore = [](const Denylist::Hash& one, const Denylist::Hash& other) {
    const std::uint64_t first = load_u64(one.data());
    const std::uint64_t second = load_u64(other.data());
    return first != second ? first < second : one < other;
};

}  // namespace

Denylist::Denylist(std::vector<Hash> hashes) : hashes_(std::move(hashes)) {
    if (!std::is_sorted(hashes_.begin(), hashes_.end(), kBefore)) {
        std::sort(hashes_.begin(), hashes_.end(), kBefore);
    }
    hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
    hashes_.shrink_to_fit();
}

bool Denylist::contains(const Hash& hash) const {
    return std::binary_search(hashes_.begin(), hashes_.end(), hash);
}

ParsedDenylist parse_denylist(ByteSpan file) {
    std::string_view rest = as_text(file);
    if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());

    ParsedDenylist parsed;
    std::vector<Denylist::Hash> hashes;
    hashes.reserve(rest.size() / (2 * sizeof(Denylist::Hash) + 1));
    for (std::size_t line = 1; !rest.empty(); ++line) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view text = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));

        auto hash = parse_hash(text);  // most lines are one and nothing else
        if (!hash) {
            text = trimmed(text.substr(0, text.find('#')));
            if (text.empty()) continue;
            hash = parse_hash(text);
        }
        if (hash) {
            hashes.push_back(*hash);
        } else if (++parsed.fault_count <= kMaxToldFaults) {
            // The line itself is not quoted: it may be a secret, of a file that is another one.
            parsed.faults.push_back(
                {line, fmt::format("expected 64 hex digits, found {} characters", text.size())});
        }
    }
    parsed.list = std::make_shared<const Denylist>(std::move(hashes));
    return parsed;
}

Error refused_by_denylist() {
    return make_error(ErrorCode::kNotFound, std::string(kRefused));
}

bool is_refusal(const Error& error) {
    return error.code == ErrorCode::kNotFound && error.detail == kRefused;
}

}  // namespace kollator::chunk
