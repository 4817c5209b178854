#include "cli/share_link.h"

#include <algorithm>
#include <cctype>

namespace kollator::cli {
namespace {

/// What encodeURIComponent leaves as it is.
bool is_plain(unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_.!~*'()").find(static_cast<char>(c)) != std::string_view::npos;
}

std::string percent_encoded(std::string_view text) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_plain(byte)) {
            encoded += c;
        } else {
            encoded += '%';
            encoded += kDigits[byte >> 4];
            encoded += kDigits[byte & 15];
        }
    }
    return encoded;
}

/// Empty where a "%" is not followed by two digits.
std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        const auto byte = from_hex(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return {};
        decoded += static_cast<char>(byte->front());
        i += 2;
    }
    return decoded;
}

/// "http://host:8080/…" -> "http://host:8080".
std::string origin_of(std::string_view url) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!url.starts_with(scheme)) continue;
        const std::size_t slash = url.find('/', scheme.size());
        return std::string(url.substr(0, slash));
    }
    return {};
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
        text.remove_prefix(1);
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace

std::optional<ShareLink> parse_link(std::string_view text) {
    text = trimmed(text);
    const std::size_t hash_sign = text.rfind('#');
    ShareLink link;
    if (hash_sign != std::string_view::npos) {
        link.front_url = origin_of(text.substr(0, hash_sign));
        text.remove_prefix(hash_sign + 1);
    }
    constexpr std::size_t kDigits = 2 * MetadataId::kSize;
    if (text.size() > kDigits && text[kDigits] != '/') return std::nullopt;
    std::string digits(text.substr(0, kDigits));
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto id = MetadataId::from_hex(digits);
    if (!id) return std::nullopt;
    link.info_hash = *id;
    if (text.size() > kDigits) link.name = percent_decoded(text.substr(kDigits + 1));
    return link;
}

std::string format_link(const ShareLink& link) {
    std::string text = link.front_url.empty() ? "" : link.front_url + "/";
    text += "#" + link.info_hash.hex();
    if (!link.name.empty()) text += "/" + percent_encoded(link.name);
    return text;
}

}  // namespace kollator::cli
