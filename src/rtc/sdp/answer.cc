#include "rtc/sdp/answer.h"

#include <fmt/format.h>

#include <iterator>

namespace kollator::rtc {

namespace {

using Out = std::back_insert_iterator<std::string>;

// RFC 8829 5.3.1: a rejected section has port zero and keeps its place.
void write_rejected(Out out, const MediaSection& section) {
    fmt::format_to(out, "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.protocol,
                   section.formats);
    if (!section.mid.empty()) fmt::format_to(out, "a=mid:{}\r\n", section.mid);
}

void write_default_address(Out out, const MediaSection& section,
                           const AnswerParameters& parameters) {
    // RFC 8839 4.2.1.2: the default candidate; port 9 and no address where there is none.
    SocketAddress address{IpAddress(), 9};
    if (!parameters.candidates.empty()) address = parameters.candidates.front().address;
    fmt::format_to(out, "m={} {} {} {}\r\nc=IN {} {}\r\n", section.media, address.port,
                   section.protocol, section.formats, address.ip.is_v6() ? "IP6" : "IP4",
                   address.ip.text());
}

void write_data_section(Out out, const MediaSection& section, const AnswerParameters& parameters) {
    write_default_address(out, section, parameters);
    if (!section.mid.empty()) fmt::format_to(out, "a=mid:{}\r\n", section.mid);
    fmt::format_to(out,
                   "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:ice2 trickle\r\n"
                   "a=fingerprint:sha-256 {}\r\na=setup:{}\r\n",
                   parameters.ice.ufrag, parameters.ice.password, parameters.fingerprint,
                   parameters.dtls_client ? "active" : "passive");
    if (section.protocol == "DTLS/SCTP") {
        fmt::format_to(out, "a=sctpmap:{} webrtc-datachannel {}\r\n", section.formats,
                       parameters.max_streams);
    } else {
        fmt::format_to(out, "a=sctp-port:{}\r\n", parameters.sctp_port);
    }
    fmt::format_to(out, "a=max-message-size:{}\r\n", parameters.max_message_bytes);
    for (const Candidate& candidate : parameters.candidates) {
        fmt::format_to(out, "a={}\r\n", format_candidate(candidate));
    }
    fmt::format_to(out, "a=end-of-candidates\r\n");
}

}  // namespace

std::string build_answer(const Offer& offer, const AnswerParameters& parameters) {
    std::string sdp;
    const Out out = std::back_inserter(sdp);
    fmt::format_to(out, "v=0\r\no=- {} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
                   parameters.session_id);
    if (offer.bundled) {
        fmt::format_to(out, "a=group:BUNDLE {}\r\n", offer.sections[offer.data_section].mid);
    }
    for (std::size_t i = 0; i < offer.sections.size(); ++i) {
        if (i == offer.data_section) {
            write_data_section(out, offer.sections[i], parameters);
        } else {
            write_rejected(out, offer.sections[i]);
        }
    }
    return sdp;
}

}  // namespace kollator::rtc
