#include "rtc/sctp/association/state_cookie.h"

namespace kollator::rtc::sctp {
namespace {

constexpr std::uint8_t kForwardTsn = 1;
constexpr std::uint8_t kReconfig = 2;
constexpr std::uint8_t kZeroChecksum = 4;

}  // namespace

Bytes build_cookie(const StateCookie& cookie) {
    Bytes out;
    ByteWriter writer(out);
    writer.u64(cookie.secret);
    writer.u32(cookie.local_tag);
    writer.u32(cookie.peer.tag);
    writer.u32(cookie.peer.window_bytes);
    writer.u16(cookie.peer.outgoing_streams);
    writer.u16(cookie.peer.incoming_streams);
    writer.u32(cookie.peer.tsn);
    writer.u8(static_cast<std::uint8_t>((cookie.peer.forward_tsn ? kForwardTsn : 0) |
                                        (cookie.peer.reconfig ? kReconfig : 0) |
                                        (cookie.peer.zero_checksum ? kZeroChecksum : 0)));
    return out;
}

std::optional<StateCookie> parse_cookie(ByteSpan bytes) {
    ByteReader reader(bytes);
    StateCookie cookie;
    cookie.secret = reader.u64();
    cookie.local_tag = reader.u32();
    cookie.peer.tag = reader.u32();
    cookie.peer.window_bytes = reader.u32();
    cookie.peer.outgoing_streams = reader.u16();
    cookie.peer.incoming_streams = reader.u16();
    cookie.peer.tsn = reader.u32();
    const std::uint8_t flags = reader.u8();
    cookie.peer.forward_tsn = (flags & kForwardTsn) != 0;
    cookie.peer.reconfig = (flags & kReconfig) != 0;
    cookie.peer.zero_checksum = (flags & kZeroChecksum) != 0;
    if (!reader.ok() || reader.remaining() != 0) return std::nullopt;
    return cookie;
}

}  // namespace kollator::rtc::sctp
