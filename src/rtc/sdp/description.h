#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rtc/ice/candidate.h"

namespace kollator::rtc {

// Bounds on a stranger's SDP. A browser's data-channel offer has about 1 KB and 20 lines.
constexpr std::size_t kMaxSdpBytes = 64 * 1024;
constexpr std::size_t kMaxSdpLines = 2048;
constexpr std::size_t kMaxSdpSections = 32;
constexpr std::size_t kMaxSdpCandidates = 64;

/// a=setup (RFC 4145, RFC 8842).
enum class DtlsSetup : std::uint8_t { kActpass, kActive, kPassive };

/// What an answer has to repeat of an m= section.
struct MediaSection {
    std::string media;
    std::string protocol;
    std::string formats;
    std::string mid;  ///< empty where the offer has none
};

/// What an offer or an answer with a data channel section says.
struct Description {
    /// <sess-id> of o= (RFC 8866 5.2): the same in all descriptions of one peer connection.
    std::string session_id;
    std::vector<MediaSection> sections;  ///< all of them, in order
    std::size_t data_section = 0;        ///< which of them carries the data channels

    IceCredentials ice;
    bool ice_lite = false;
    bool bundled = false;  ///< the data section's mid stands in a BUNDLE group
    DtlsSetup setup = DtlsSetup::kActpass;
    std::array<std::uint8_t, 32> fingerprint{};  ///< SHA-256 of the peer's certificate
    std::uint16_t sctp_port = 5000;
    /// RFC 8841 6: 64K where absent; 0 says any size.
    std::size_t max_message_bytes = 65536;
    /// Those that are of use; at most kMaxSdpCandidates, further ones are ignored.
    std::vector<Candidate> candidates;
    bool end_of_candidates = false;
};

/// CRLF or LF. kInvalid: malformed, or something is missing that must be there; the detail says
/// what. kNotFound: well formed, without a data channel section.
Result<Description> parse_offer(std::string_view sdp);

/// As parse_offer, of an answer: `setup` is kActive or kPassive, and kNotFound also says that the
/// peer rejected the data channels.
Result<Description> parse_answer(std::string_view sdp);

}  // namespace kollator::rtc
