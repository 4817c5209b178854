#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rtc/ice/candidate.h"
#include "rtc/sdp/offer.h"

namespace kollator::rtc {

struct AnswerParameters {
    std::uint64_t session_id = 0;  ///< for o=, below 2^63
    IceCredentials ice;
    std::string fingerprint;  ///< "AB:CD:…", SHA-256
    bool dtls_client = false;
    std::uint16_t sctp_port = 5000;
    std::uint16_t max_streams = 256;  ///< for a=sctpmap in answers to the old form
    std::size_t max_message_bytes = 262144;
    /// All that there will ever be: the answer ends them. Ordered, the best first.
    std::vector<Candidate> candidates;
};

/// The answer to `offer` (RFC 8829 5.3 and the RFCs that offer.cc names): the data channel section
/// accepted, every other one rejected. CRLF.
std::string build_answer(const Offer& offer, const AnswerParameters& parameters);

}  // namespace kollator::rtc
