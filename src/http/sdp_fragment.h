#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kollator::http {

/// What a client trickles: an application/trickle-ice-sdpfrag body (RFC 8840 section 9).
struct SdpFragment {
    std::vector<std::string> candidates;  ///< values of a=candidate, without "a=": "candidate:…"
    std::string ufrag;                    ///< empty where the fragment has none
    std::string password;                 ///< only one that restarts ICE has it (RFC 9725 4.3.3)
    bool end_of_candidates = false;
};

inline constexpr std::size_t kMaxSdpFragmentBytes = 16 * 1024;
inline constexpr std::size_t kMaxFragmentCandidates = 64;
inline constexpr std::size_t kMaxSdpLineBytes = 1024;

/// Takes the candidates of all media sections; lines it does not know are passed over, as RFC 8866
/// wants. kInvalid: a line that is no "<letter>=<text>", or over a bound.
Result<SdpFragment> parse_sdp_fragment(std::string_view text);

}  // namespace kollator::http
