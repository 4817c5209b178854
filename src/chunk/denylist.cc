#include "chunk/denylist.h"

#include <fmt/core.h>

#include <algorithm>
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

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<Denylist::Hash> parse_hash(std::string_view text) {
    Denylist::Hash hash{};
    if (text.size() != 2 * hash.size()) return std::nullopt;
    for (std::size_t i = 0; i < hash.size(); ++i) {
        const int high = digit_of(text[2 * i]);
        const int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        hash[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return hash;
}

}  // namespace

Denylist::Denylist(std::vector<Hash> hashes) : hashes_(std::move(hashes)) {
    if (!std::is_sorted(hashes_.begin(), hashes_.end())) {
        std::sort(hashes_.begin(), hashes_.end());
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

        text = trimmed(text.substr(0, text.find('#')));
        if (text.empty()) continue;
        if (const auto hash = parse_hash(text)) {
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
