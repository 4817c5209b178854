#include "rtc/direct_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "crypto/base64.h"

namespace kollator::rtc {

namespace {

// Its characters are all ice-chars (RFC 8839 5.1).
constexpr std::string_view kPrefix = "kollator+webrtc+v1/";
// RFC 8839 5.4, and what is left of 256 characters behind the prefix.
constexpr std::size_t kMinPasswordCharacters = 22;
constexpr std::size_t kMaxPasswordCharacters = 256 - kPrefix.size();
constexpr std::size_t kMinUfragCharacters = 4;
constexpr std::size_t kMaxUfragCharacters = 256;
constexpr std::size_t kMaxAddressCharacters = 256;
// Multihash: the code of sha2-256, and its length.
constexpr std::uint8_t kSha256Code = 0x12;
constexpr std::uint8_t kSha256Bytes = 32;

Error invalid(const char* what) {
    return make_error(ErrorCode::kInvalid, fmt::format("direct address: {}", what));
}

bool is_ice_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '+' || c == '/';
    });
}

/// Takes the next "/part" off the front; empty where there is none.
std::string_view take_part(std::string_view& text) {
    if (!text.starts_with('/')) return {};
    text.remove_prefix(1);
    const std::string_view part = text.substr(0, text.find('/'));
    text.remove_prefix(part.size());
    return part;
}

}  // namespace

std::string format_direct_address(const DirectAddress& address) {
    Bytes multihash{kSha256Code, kSha256Bytes};
    multihash.insert(multihash.end(), address.certificate.begin(), address.certificate.end());
    return fmt::format("/{}/{}/udp/{}/webrtc-direct/certhash/u{}",
                       address.address.ip.is_v6() ? "ip6" : "ip4", address.address.ip.text(),
                       address.address.port, crypto::base64url(multihash));
}

Result<DirectAddress> parse_direct_address(std::string_view text) {
    if (text.size() > kMaxAddressCharacters) return invalid("too long");
    DirectAddress address;
    const std::string_view family = take_part(text);
    const std::optional<IpAddress> ip = IpAddress::parse(take_part(text));
    const bool right_family = ip && family == (ip->is_v6() ? "ip6" : "ip4");
    if (!right_family || ip->is_unspecified() || ip->is_multicast()) {
        return invalid("/ip4/<address> or /ip6/<address> expected");
    }
    address.address.ip = *ip;

    if (take_part(text) != "udp") return invalid("/udp/<port> expected");
    const std::string_view port = take_part(text);
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), address.address.port);
    if (error != std::errc{} || end != port.data() + port.size() || address.address.port == 0) {
        return invalid("/udp/<port> expected");
    }

    if (take_part(text) != "webrtc-direct") return invalid("/webrtc-direct expected");
    if (take_part(text) != "certhash") return invalid("/certhash/<hash> expected");
    const std::string_view hash = take_part(text);
    if (!hash.starts_with('u')) return invalid("the hash is not in base64url (u…)");
    const std::optional<Bytes> multihash = crypto::from_base64url(hash.substr(1));
    if (!multihash || multihash->size() != 2 + std::size_t{kSha256Bytes} ||
        (*multihash)[0] != kSha256Code || (*multihash)[1] != kSha256Bytes) {
        return invalid("the hash is no sha2-256 multihash");
    }
    std::copy(multihash->begin() + 2, multihash->end(), address.certificate.begin());
    if (!text.empty()) return invalid("something stands behind the hash");
    return address;
}

IceCredentials direct_credentials(std::string_view client_password) {
    const std::string both = std::string(kPrefix) + std::string(client_password);
    return {both, both};
}

std::optional<IceCredentials> direct_client(std::string_view username) {
    if (!username.starts_with(kPrefix)) return std::nullopt;
    username.remove_prefix(kPrefix.size());
    const std::size_t colon = username.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string_view password = username.substr(0, colon);
    const std::string_view ufrag = username.substr(colon + 1);
    const bool good = password.size() >= kMinPasswordCharacters &&
                      password.size() <= kMaxPasswordCharacters && is_ice_text(password) &&
                      ufrag.size() >= kMinUfragCharacters && ufrag.size() <= kMaxUfragCharacters &&
                      is_ice_text(ufrag);
    if (!good) return std::nullopt;
    return IceCredentials{std::string(ufrag), std::string(password)};
}

}  // namespace kollator::rtc
