#include "rtc/sctp/packet/init_chunk.h"

#include <array>

namespace kollator::rtc::sctp {
namespace {

constexpr std::size_t kFixedBytes = 16;
constexpr std::uint16_t kStateCookie = 7;
constexpr std::uint16_t kUnrecognized = 8;
constexpr std::uint16_t kZeroChecksumAcceptable = 0x8001;  // RFC 9653 4
constexpr std::uint16_t kSupportedExtensions = 0x8008;     // RFC 5061 4.2.7
constexpr std::uint16_t kForwardTsnSupported = 0xc000;     // RFC 3758 3.1
/// RFC 9653 6.2: the error detection method "SCTP over DTLS".
constexpr std::uint32_t kDtlsDetectsErrors = 1;

/// What is told back of unknown parameters, and what a peer's cookie may take: all must fit one
/// packet.
constexpr std::size_t kMaxReportedBytes = 256;
constexpr std::size_t kMaxCookieBytes = 1024;

// RFC 9260 3.3.2: parameters of INIT that WebRTC has no use for, and that are no error.
bool is_known_and_ignored(std::uint16_t type) {
    return type == 5 || type == 6 || type == 9 || type == 11 || type == 12 || type == kUnrecognized;
}

void note_extensions(ByteSpan list, InitChunk& init) {
    for (const std::uint8_t type : list) {
        if (type == chunk_type::kReconfig) init.reconfig = true;
        if (type == chunk_type::kForwardTsn) init.forward_tsn = true;
    }
}

/// False: RFC 9260 3.2.1, "Stop processing this parameter; do not process any further".
bool take_unknown(const Parameter& parameter, InitChunk& init) {
    if (must_report_parameter(parameter.type) &&
        init.unrecognized.size() + padded(parameter.whole.size()) <= kMaxReportedBytes) {
        init.unrecognized.insert(init.unrecognized.end(), parameter.whole.begin(),
                                 parameter.whole.end());
        init.unrecognized.resize(padded(init.unrecognized.size()));
    }
    return must_skip_parameter(parameter.type);
}

bool take(const Parameter& parameter, InitChunk& init) {
    switch (parameter.type) {
        case kStateCookie:
            if (parameter.value.size() > kMaxCookieBytes) return true;
            init.cookie.assign(parameter.value.begin(), parameter.value.end());
            return true;
        case kSupportedExtensions:
            note_extensions(parameter.value, init);
            return true;
        case kForwardTsnSupported:
            init.forward_tsn = true;
            return true;
        case kZeroChecksumAcceptable:
            init.zero_checksum = parameter.value.size() >= 4 &&
                                 load_u32(parameter.value.data()) == kDtlsDetectsErrors;
            return true;
        default:
            return is_known_and_ignored(parameter.type) || take_unknown(parameter, init);
    }
}

}  // namespace

Result<InitChunk> parse_init(ByteSpan value) {
    if (value.size() < kFixedBytes) {
        return make_error(ErrorCode::kInvalid, "sctp: the INIT is too short");
    }
    ByteReader reader(value);
    InitChunk init;
    init.tag = reader.u32();
    init.window_bytes = reader.u32();
    init.outgoing_streams = reader.u16();
    init.incoming_streams = reader.u16();
    init.tsn = reader.u32();
    // RFC 9260 3.3.2: "If the value of the Initiate Tag in a received INIT chunk is found to be 0,
    // the receiver MUST silently discard"; of no streams: "MUST destroy the association".
    if (init.tag == 0 || init.outgoing_streams == 0 || init.incoming_streams == 0) {
        return make_error(ErrorCode::kInvalid, "sctp: the INIT has no tag or no streams");
    }
    ByteSpan rest = reader.rest();
    while (const auto parameter = take_parameter(rest)) {
        if (!take(*parameter, init)) break;
    }
    return init;
}

Bytes build_init(const InitChunk& init) {
    Bytes out;
    ByteWriter writer(out);
    writer.u32(init.tag);
    writer.u32(init.window_bytes);
    writer.u16(init.outgoing_streams);
    writer.u16(init.incoming_streams);
    writer.u32(init.tsn);
    if (!init.cookie.empty()) append_parameter(out, kStateCookie, init.cookie);
    if (init.forward_tsn) append_parameter(out, kForwardTsnSupported, {});
    Bytes extensions;
    if (init.reconfig) extensions.push_back(chunk_type::kReconfig);
    if (init.forward_tsn) extensions.push_back(chunk_type::kForwardTsn);
    if (!extensions.empty()) append_parameter(out, kSupportedExtensions, extensions);
    if (init.zero_checksum) {
        std::array<std::uint8_t, 4> method{};
        store_u32(method.data(), kDtlsDetectsErrors);
        append_parameter(out, kZeroChecksumAcceptable, method);
    }
    if (!init.unrecognized.empty()) append_parameter(out, kUnrecognized, init.unrecognized);
    return out;
}

}  // namespace kollator::rtc::sctp
