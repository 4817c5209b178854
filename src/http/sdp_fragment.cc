#include "http/sdp_fragment.h"

namespace kollator::http {
namespace {

Error invalid(std::string detail) {
    return make_error(ErrorCode::kInvalid, std::move(detail));
}

Status take_line(std::string_view line, SdpFragment& fragment) {
    if (line.size() > kMaxSdpLineBytes) return invalid("a line is too long");
    if (line.size() < 2 || line[0] < 'a' || line[0] > 'z' || line[1] != '=') {
        return invalid("a line does not have the form <letter>=<value>");
    }
    for (const char c : line) {
        if (static_cast<unsigned char>(c) < 0x20) return invalid("a control character in a line");
    }
    if (line[0] != 'a') return {};
    const std::string_view attribute = line.substr(2);
    constexpr std::string_view kUfrag = "ice-ufrag:";
    constexpr std::string_view kPassword = "ice-pwd:";
    if (attribute.starts_with("candidate:")) {
        if (fragment.candidates.size() == kMaxFragmentCandidates) {
            return invalid("too many candidates");
        }
        fragment.candidates.emplace_back(attribute);
    } else if (attribute == "end-of-candidates") {
        fragment.end_of_candidates = true;
    } else if (attribute.starts_with(kUfrag)) {
        fragment.ufrag = std::string(attribute.substr(kUfrag.size()));
    } else if (attribute.starts_with(kPassword)) {
        fragment.password = std::string(attribute.substr(kPassword.size()));
    }
    return {};
}

}  // namespace

Result<SdpFragment> parse_sdp_fragment(std::string_view text) {
    if (text.size() > kMaxSdpFragmentBytes) return invalid("the fragment is too long");
    SdpFragment fragment;
    while (!text.empty()) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        // RFC 8866 5: CRLF ends a line, and a bare LF is to be accepted.
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) continue;
        if (const Status taken = take_line(line, fragment); !taken) return taken.error();
    }
    return fragment;
}

}  // namespace kollator::http
