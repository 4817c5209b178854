#include "rtc/sdp/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace kollator::rtc {

namespace {

// RFC 8866 5.2 has a number here, RFC 8829 5.2.1 one below 2^63; some write more.
constexpr std::size_t kMaxSessionIdCharacters = 64;

Error invalid(std::string what) {
    return make_error(ErrorCode::kInvalid, "sdp: " + what);
}

template <typename Integer>
std::optional<Integer> parse_number(std::string_view text) {
    Integer value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
}

/// Takes the text up to the next `separator` off the front.
std::string_view take_until(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view head = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return head;
}

/// Attributes that may stand at either level (RFC 8839 5.4, RFC 8122 5, RFC 8842 5.1); the
/// section's own go before the session's.
struct TransportAttributes {
    std::string ufrag;
    std::string password;
    std::optional<DtlsSetup> setup;
    std::optional<std::array<std::uint8_t, 32>> fingerprint;
    std::string other_fingerprint_hash;  ///< a hash that we were offered and do not take
};

struct Section {
    MediaSection media;
    std::uint32_t port = 0;
    bool bundle_only = false;
    TransportAttributes transport;
    std::optional<std::uint16_t> sctp_port;
    std::optional<std::size_t> max_message_bytes;
    std::vector<Candidate> candidates;
    bool end_of_candidates = false;

    bool carries_data_channels() const {
        // RFC 8841 4.2 names UDP/DTLS/SCTP and TCP/DTLS/SCTP; its drafts, DTLS/SCTP <port>.
        const bool sctp = media.protocol == "UDP/DTLS/SCTP" || media.protocol == "TCP/DTLS/SCTP";
        const bool legacy = media.protocol == "DTLS/SCTP";
        return media.media == "application" && (port != 0 || bundle_only) &&
               ((sctp && media.formats == "webrtc-datachannel") || legacy);
    }
};

class DescriptionParser {
 public:
    Result<Description> parse(std::string_view sdp);

 private:
    Status parse_lines(std::string_view sdp);
    Status parse_line(char type, std::string_view value);
    Status parse_origin(std::string_view value);
    Status parse_media(std::string_view value);
    Status parse_attribute(std::string_view name, std::string_view value);
    Status parse_transport(std::string_view name, std::string_view value, TransportAttributes& to);
    Status parse_fingerprint(std::string_view value, TransportAttributes& to);
    Status parse_data_attribute(std::string_view name, std::string_view value, Section& section);
    Result<Description> assemble(std::size_t index);
    Status assemble_transport(const Section& section, Description& description) const;

    std::string session_id_;
    TransportAttributes session_;
    std::vector<Section> sections_;
    std::vector<std::string> bundle_;  ///< mids
    bool ice_lite_ = false;
};

Result<Description> DescriptionParser::parse(std::string_view sdp) {
    if (sdp.size() > kMaxSdpBytes) return invalid(fmt::format("over {} bytes", kMaxSdpBytes));
    if (const Status status = parse_lines(sdp); !status.ok()) return status.error();
    const auto data = std::find_if(sections_.begin(), sections_.end(),
                                   [](const Section& s) { return s.carries_data_channels(); });
    if (data == sections_.end()) {
        return make_error(ErrorCode::kNotFound, "sdp: no data channel section");
    }
    return assemble(static_cast<std::size_t>(data - sections_.begin()));
}

Status DescriptionParser::parse_lines(std::string_view sdp) {
    std::size_t number = 0;
    while (!sdp.empty()) {
        std::string_view line = take_until(sdp, '\n');
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (++number > kMaxSdpLines) return invalid(fmt::format("over {} lines", kMaxSdpLines));
        if (line.empty()) continue;
        if (line.size() < 2 || line[1] != '=') {
            return invalid(fmt::format("line {} is no type=value", number));
        }
        if (number == 1 && line != "v=0") return invalid("does not begin with v=0");
        if (const Status status = parse_line(line[0], line.substr(2)); !status.ok()) {
            return make_error(status.error().code,
                              fmt::format("{} (line {})", status.error().detail, number));
        }
    }
    return number > 0 ? Status() : invalid("empty");
}

Status DescriptionParser::parse_line(char type, std::string_view value) {
    if (type == 'm') return parse_media(value);
    if (type == 'o') return parse_origin(value);
    if (type != 'a') return {};
    const std::string_view name = take_until(value, ':');
    return parse_attribute(name, value);
}

// o=- 4611731400430051336 2 IN IP4 127.0.0.1
Status DescriptionParser::parse_origin(std::string_view value) {
    take_until(value, ' ');
    session_id_ = take_until(value, ' ');
    if (session_id_.size() > kMaxSessionIdCharacters) return invalid("o= with too long an id");
    return {};
}

// m=application 9 UDP/DTLS/SCTP webrtc-datachannel
Status DescriptionParser::parse_media(std::string_view value) {
    if (sections_.size() == kMaxSdpSections) {
        return invalid(fmt::format("over {} media sections", kMaxSdpSections));
    }
    Section section;
    section.media.media = take_until(value, ' ');
    std::string_view port_text = take_until(value, ' ');
    const auto port = parse_number<std::uint16_t>(take_until(port_text, '/'));
    section.media.protocol = take_until(value, ' ');
    section.media.formats = value;
    if (!port || section.media.protocol.empty() || section.media.formats.empty()) {
        return invalid("malformed m= line");
    }
    section.port = *port;
    sections_.push_back(std::move(section));
    return {};
}

Status DescriptionParser::parse_attribute(std::string_view name, std::string_view value) {
    if (sections_.empty()) {
        if (name == "ice-lite") ice_lite_ = true;
        if (name == "group" && take_until(value, ' ') == "BUNDLE") {
            while (!value.empty()) bundle_.emplace_back(take_until(value, ' '));
        }
        return parse_transport(name, value, session_);
    }
    Section& section = sections_.back();
    if (name == "mid") section.media.mid = value;
    if (name == "bundle-only") section.bundle_only = true;
    // What other sections say about themselves is of no interest, and may be in any state.
    if (section.media.media != "application") return {};
    if (const Status status = parse_transport(name, value, section.transport); !status.ok()) {
        return status;
    }
    return parse_data_attribute(name, value, section);
}

Status DescriptionParser::parse_transport(std::string_view name, std::string_view value,
                                          TransportAttributes& to) {
    if (name == "ice-ufrag") {
        to.ufrag = value;
    } else if (name == "ice-pwd") {
        to.password = value;
    } else if (name == "fingerprint") {
        return parse_fingerprint(value, to);
    } else if (name == "setup") {
        if (value == "actpass") {
            to.setup = DtlsSetup::kActpass;
        } else if (value == "active") {
            to.setup = DtlsSetup::kActive;
        } else if (value == "passive") {
            to.setup = DtlsSetup::kPassive;
        } else {
            return invalid("a=setup is none of actpass, active, passive");
        }
    }
    return {};
}

// sha-256 4A:AD:…, RFC 8122 5. There may be several lines, for several hashes.
Status DescriptionParser::parse_fingerprint(std::string_view value, TransportAttributes& to) {
    const std::string hash = lower(take_until(value, ' '));
    if (hash != "sha-256") {
        to.other_fingerprint_hash = hash;
        return {};
    }
    std::string digits;
    std::array<std::uint8_t, 32> digest{};
    constexpr std::size_t kTextCharacters = digest.size() * 3 - 1;
    if (value.size() != kTextCharacters) return invalid("a=fingerprint is not 32 bytes long");
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (i % 3 != 2) {
            digits += value[i];
        } else if (value[i] != ':') {
            return invalid("malformed a=fingerprint");
        }
    }
    const std::optional<Bytes> bytes = from_hex(digits);
    if (!bytes) return invalid("malformed a=fingerprint");
    std::copy(bytes->begin(), bytes->end(), digest.begin());
    to.fingerprint = digest;
    return {};
}

Status DescriptionParser::parse_data_attribute(std::string_view name, std::string_view value,
                                               Section& section) {
    if (name == "sctp-port") {
        section.sctp_port = parse_number<std::uint16_t>(value);
        if (!section.sctp_port || *section.sctp_port == 0) return invalid("malformed a=sctp-port");
    } else if (name == "sctpmap") {
        // a=sctpmap:5000 webrtc-datachannel 1024
        section.sctp_port = parse_number<std::uint16_t>(take_until(value, ' '));
        if (!section.sctp_port || *section.sctp_port == 0) return invalid("malformed a=sctpmap");
    } else if (name == "max-message-size") {
        section.max_message_bytes = parse_number<std::size_t>(value);
        if (!section.max_message_bytes) return invalid("malformed a=max-message-size");
    } else if (name == "end-of-candidates") {
        section.end_of_candidates = true;
    } else if (name == "candidate" && section.candidates.size() < kMaxSdpCandidates) {
        Result<std::optional<Candidate>> candidate = parse_candidate(value);
        if (!candidate.ok()) return invalid(candidate.error().detail);
        if (*candidate) section.candidates.push_back(std::move(**candidate));
    }
    return {};
}

Result<Description> DescriptionParser::assemble(std::size_t index) {
    Section& section = sections_[index];
    Description description;
    if (const Status status = assemble_transport(section, description); !status.ok()) {
        return status.error();
    }
    description.session_id = session_id_;
    description.data_section = index;
    description.ice_lite = ice_lite_;
    description.bundled =
        std::find(bundle_.begin(), bundle_.end(), section.media.mid) != bundle_.end();
    description.sctp_port = section.sctp_port.value_or(description.sctp_port);
    description.max_message_bytes =
        section.max_message_bytes.value_or(description.max_message_bytes);
    description.candidates = std::move(section.candidates);
    description.end_of_candidates = section.end_of_candidates;
    for (Section& each : sections_) description.sections.push_back(std::move(each.media));
    return description;
}

Status DescriptionParser::assemble_transport(const Section& section,
                                             Description& description) const {
    const TransportAttributes& own = section.transport;
    description.ice.ufrag = own.ufrag.empty() ? session_.ufrag : own.ufrag;
    description.ice.password = own.password.empty() ? session_.password : own.password;
    if (description.ice.ufrag.empty()) return invalid("a=ice-ufrag is missing");
    if (description.ice.password.empty()) return invalid("a=ice-pwd is missing");
    if (const Status good = check_ice_credentials(description.ice); !good.ok()) {
        return invalid(good.error().detail);
    }

    const auto fingerprint = own.fingerprint ? own.fingerprint : session_.fingerprint;
    if (!fingerprint) {
        const std::string& other = own.other_fingerprint_hash.empty()
                                       ? session_.other_fingerprint_hash
                                       : own.other_fingerprint_hash;
        if (other.empty()) return invalid("a=fingerprint is missing");
        return invalid("a=fingerprint must be sha-256; offered is another hash");
    }
    description.fingerprint = *fingerprint;
    const auto setup = own.setup ? own.setup : session_.setup;
    description.setup = setup.value_or(DtlsSetup::kActpass);
    return {};
}

}  // namespace

Result<Description> parse_offer(std::string_view sdp) {
    return DescriptionParser().parse(sdp);
}

Result<Description> parse_answer(std::string_view sdp) {
    Result<Description> answer = DescriptionParser().parse(sdp);
    if (!answer.ok()) return answer;
    // RFC 5763 5: "The answerer MUST use either a setup attribute value of setup:active or
    // setup:passive."
    if (answer->setup == DtlsSetup::kActpass) {
        return invalid("a=setup of an answer is neither active nor passive");
    }
    return answer;
}

}  // namespace kollator::rtc
