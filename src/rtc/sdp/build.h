#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rtc/ice/candidate.h"
#include "rtc/sdp/description.h"

namespace kollator::rtc {

/// What our own descriptions say.
struct LocalParameters {
    std::uint64_t session_id = 0;       ///< for o=, below 2^63
    std::uint64_t session_version = 1;  ///< for o=, one more for each further description
    IceCredentials ice;
    std::string fingerprint;  ///< "AB:CD:…", SHA-256
    DtlsSetup setup = DtlsSetup::kPassive;
    std::uint16_t sctp_port = 5000;
    std::uint16_t max_streams = 256;  ///< for a=sctpmap in answers to the old form
    std::size_t max_message_bytes = 262144;
    /// Ordered, the best first.
    std::vector<Candidate> candidates;
    bool end_of_candidates = true;  ///< no further ones will be trickled
};

/// The answer to `offer` (RFC 8829 5.3 and the RFCs that description.cc names): the data channel
/// section accepted, every other one rejected. CRLF.
std::string build_answer(const Description& offer, const LocalParameters& parameters);

/// An offer of one section, for data channels (RFC 8829 5.2, RFC 8841). CRLF.
std::string build_offer(const LocalParameters& parameters);

/// What tells the peer of an ICE restart that it asked for by a fragment (RFC 8840 4.4, RFC 9725
/// 4.3.3): credentials and candidates, of one section. CRLF.
std::string build_fragment(const LocalParameters& parameters);

}  // namespace kollator::rtc
