#include "rtc/sdp/build.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace kollator::rtc {

namespace {

using Out = std::back_insert_iterator<std::string>;

std::string_view to_string(DtlsSetup setup) {
    switch (setup) {
        case DtlsSetup::kActpass:
            return "actpass";
        case DtlsSetup::kActive:
            return "active";
        case DtlsSetup::kPassive:
            return "passive";
    }
    return "passive";
}

void write_session(Out out, const LocalParameters& parameters) {
    fmt::format_to(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
                   parameters.session_id, parameters.session_version);
}

// RFC 8829 5.3.1: a rejected section has port zero and keeps its place.
void write_rejected(Out out, const MediaSection& section) {
    fmt::format_to(out, "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.protocol,
                   section.formats);
    if (!section.mid.empty()) fmt::format_to(out, "a=mid:{}\r\n", section.mid);
}

void write_default_address(Out out, const MediaSection& section,
                           const LocalParameters& parameters) {
    // RFC 8839 4.2.1.2: the default candidate; port 9 and no address where there is none.
    SocketAddress address{IpAddress(), 9};
    if (!parameters.candidates.empty()) address = parameters.candidates.front().address;
    fmt::format_to(out, "m={} {} {} {}\r\nc=IN {} {}\r\n", section.media, address.port,
                   section.protocol, section.formats, address.ip.is_v6() ? "IP6" : "IP4",
                   address.ip.text());
}

void write_ice(Out out, const LocalParameters& parameters) {
    fmt::format_to(out, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:ice2 trickle\r\n",
                   parameters.ice.ufrag, parameters.ice.password);
}

void write_candidates(Out out, const LocalParameters& parameters) {
    for (const Candidate& candidate : parameters.candidates) {
        fmt::format_to(out, "a={}\r\n", format_candidate(candidate));
    }
    if (parameters.end_of_candidates) fmt::format_to(out, "a=end-of-candidates\r\n");
}

void write_data_section(Out out, const MediaSection& section, const LocalParameters& parameters) {
    write_default_address(out, section, parameters);
    if (!section.mid.empty()) fmt::format_to(out, "a=mid:{}\r\n", section.mid);
    write_ice(out, parameters);
    fmt::format_to(out, "a=fingerprint:sha-256 {}\r\na=setup:{}\r\n", parameters.fingerprint,
                   to_string(parameters.setup));
    if (section.protocol == "DTLS/SCTP") {
        fmt::format_to(out, "a=sctpmap:{} webrtc-datachannel {}\r\n", section.formats,
                       parameters.max_streams);
    } else {
        fmt::format_to(out, "a=sctp-port:{}\r\n", parameters.sctp_port);
    }
    fmt::format_to(out, "a=max-message-size:{}\r\n", parameters.max_message_bytes);
    write_candidates(out, parameters);
}

}  // namespace

std::string build_answer(const Description& offer, const LocalParameters& parameters) {
    std::string sdp;
    const Out out = std::back_inserter(sdp);
    write_session(out, parameters);
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

std::string build_offer(const LocalParameters& parameters) {
    const MediaSection section{"application", "UDP/DTLS/SCTP", "webrtc-datachannel", "0"};
    std::string sdp;
    const Out out = std::back_inserter(sdp);
    write_session(out, parameters);
    fmt::format_to(out, "a=group:BUNDLE {}\r\n", section.mid);
    write_data_section(out, section, parameters);
    return sdp;
}

std::string build_fragment(const LocalParameters& parameters) {
    std::string sdp;
    const Out out = std::back_inserter(sdp);
    write_ice(out, parameters);
    // RFC 8840 9.1: candidates follow the section that they belong to, which its mid names.
    fmt::format_to(out, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n");
    write_candidates(out, parameters);
    return sdp;
}

}  // namespace kollator::rtc
