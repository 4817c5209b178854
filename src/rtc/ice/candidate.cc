#include "rtc/ice/candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace kollator::rtc {

namespace {

constexpr std::size_t kUfragCharacters = 8;
constexpr std::size_t kPasswordCharacters = 24;
// RFC 8839 5.4.
constexpr std::size_t kMinUfragCharacters = 4;
constexpr std::size_t kMinPasswordCharacters = 22;
constexpr std::size_t kMaxCredentialCharacters = 256;
constexpr std::size_t kMaxCandidateBytes = 1024;
// foundation, component, transport, priority, address, port, "typ", type
constexpr std::size_t kFixedFields = 8;

// RFC 8839 5.1: ice-char = ALPHA / DIGIT / "+" / "/". 64 of them, so 6 random bits pick one.
constexpr std::string_view kIceCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string random_text(Random& random, std::size_t characters) {
    std::string raw(characters, '\0');
    random.fill({reinterpret_cast<std::uint8_t*>(raw.data()), raw.size()});
    for (char& c : raw) c = kIceCharacters[static_cast<std::uint8_t>(c) % kIceCharacters.size()];
    return raw;
}

std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (end > 0) words.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

template <typename Integer>
std::optional<Integer> parse_number(std::string_view text) {
    Integer value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<CandidateType> parse_type(std::string_view text) {
    if (text == "host") return CandidateType::kHost;
    if (text == "srflx") return CandidateType::kServerReflexive;
    if (text == "prflx") return CandidateType::kPeerReflexive;
    if (text == "relay") return CandidateType::kRelayed;
    return std::nullopt;
}

std::string_view to_string(CandidateType type) {
    switch (type) {
        case CandidateType::kHost:
            return "host";
        case CandidateType::kPeerReflexive:
            return "prflx";
        case CandidateType::kServerReflexive:
            return "srflx";
        case CandidateType::kRelayed:
            return "relay";
    }
    return "host";
}

Error malformed(const char* what) {
    return make_error(ErrorCode::kInvalid, fmt::format("candidate: {}", what));
}

}  // namespace

std::uint32_t candidate_priority(CandidateType type, std::uint16_t local_preference) {
    // RFC 8445 5.1.2.2: "The RECOMMENDED values for type preferences are 126 for host candidates,
    // 110 for peer-reflexive candidates, 100 for server-reflexive candidates, and 0 for relayed".
    std::uint32_t type_preference = 0;
    switch (type) {
        case CandidateType::kHost:
            type_preference = 126;
            break;
        case CandidateType::kPeerReflexive:
            type_preference = 110;
            break;
        case CandidateType::kServerReflexive:
            type_preference = 100;
            break;
        case CandidateType::kRelayed:
            break;
    }
    constexpr std::uint32_t kComponent = 1;
    return (type_preference << 24) | (std::uint32_t{local_preference} << 8) | (256 - kComponent);
}

Result<std::optional<Candidate>> parse_candidate(std::string_view text) {
    if (text.size() > kMaxCandidateBytes) return malformed("too long");
    if (text.starts_with("a=")) text.remove_prefix(2);
    if (text.starts_with("candidate:")) text.remove_prefix(10);
    const std::vector<std::string_view> words = split_words(text);
    if (words.size() < kFixedFields) return malformed("too few fields");
    if (words[0].size() > 32) return malformed("foundation over 32 characters");
    const auto component = parse_number<std::uint16_t>(words[1]);
    const auto priority = parse_number<std::uint32_t>(words[3]);
    const auto port = parse_number<std::uint16_t>(words[5]);
    if (!component) return malformed("component is no number");
    if (!priority) return malformed("priority is no number");
    if (!port) return malformed("port is no number");
    if (words[6] != "typ") return malformed("\"typ\" expected");

    const std::optional<CandidateType> type = parse_type(words[7]);
    const std::optional<IpAddress> ip = IpAddress::parse(words[4]);
    const bool usable = *component == 1 && equal_ignoring_case(words[2], "udp") && type && ip &&
                        *port != 0 && !ip->is_unspecified() && !ip->is_multicast();
    if (!usable) return std::optional<Candidate>{};
    Candidate candidate;
    candidate.foundation = std::string(words[0]);
    candidate.priority = *priority;
    candidate.address = {*ip, *port};
    candidate.type = *type;
    // Extensions come in pairs; raddr and rport are for diagnostics only.
    std::optional<IpAddress> related_ip;
    for (std::size_t i = kFixedFields; i + 1 < words.size(); i += 2) {
        if (words[i] == "raddr") related_ip = IpAddress::parse(words[i + 1]);
        if (words[i] != "rport" || !related_ip) continue;
        const auto related_port = parse_number<std::uint16_t>(words[i + 1]);
        if (related_port) candidate.related = SocketAddress{*related_ip, *related_port};
    }
    return std::optional<Candidate>(std::move(candidate));
}

std::string format_candidate(const Candidate& candidate) {
    std::string text =
        fmt::format("candidate:{} 1 udp {} {} {} typ {}", candidate.foundation, candidate.priority,
                    candidate.address.ip.text(), candidate.address.port, to_string(candidate.type));
    if (candidate.related) {
        text += fmt::format(" raddr {} rport {}", candidate.related->ip.text(),
                            candidate.related->port);
    }
    return text;
}

Status check_ice_credentials(const IceCredentials& credentials) {
    const auto within = [](const std::string& text, std::size_t least) {
        return text.size() >= least && text.size() <= kMaxCredentialCharacters;
    };
    if (!within(credentials.ufrag, kMinUfragCharacters)) {
        return make_error(ErrorCode::kInvalid, "a=ice-ufrag must have 4 to 256 characters");
    }
    if (!within(credentials.password, kMinPasswordCharacters)) {
        return make_error(ErrorCode::kInvalid, "a=ice-pwd must have 22 to 256 characters");
    }
    return {};
}

IceCredentials make_ice_credentials(Random& random) {
    IceCredentials credentials;
    credentials.ufrag = random_text(random, kUfragCharacters);
    credentials.password = random_text(random, kPasswordCharacters);
    return credentials;
}

}  // namespace kollator::rtc
