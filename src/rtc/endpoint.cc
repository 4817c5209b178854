#include "rtc/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "rtc/mux/host_candidates.h"
#include "rtc/udp_endpoint.h"

namespace kollator::rtc {

namespace {

// The rest is for those who come by signaling, and for those who are connected.
constexpr std::size_t kPendingShare = 8;

}  // namespace

std::size_t max_pending(const EndpointOptions& options) {
    const std::size_t wanted = options.direct.max_pending;
    return std::max<std::size_t>(1, wanted != 0 ? wanted : options.max_connections / kPendingShare);
}

Result<std::unique_ptr<Endpoint>> open_endpoint(EventLoop& loop, const Clock& clock, Random& random,
                                                const Certificate& certificate,
                                                EndpointOptions options) {
    const std::optional<IpAddress> bind = IpAddress::parse(options.bind_address);
    if (!bind) {
        return make_error(ErrorCode::kInvalid,
                          fmt::format("\"{}\" is no numeric address", options.bind_address));
    }
    HostAddressOptions host_options;
    for (const std::string& text : options.announce_addresses) {
        const std::optional<IpAddress> address = IpAddress::parse(text);
        if (!address) {
            return make_error(ErrorCode::kInvalid,
                              fmt::format("\"{}\" is no numeric address", text));
        }
        host_options.announce.push_back(*address);
    }
    auto socket = UdpSocket::open(loop, {*bind, options.port});
    // A machine without IPv6 at all: "::" then means what it has.
    if (!socket.ok() && bind->is_v6() && bind->is_unspecified()) {
        socket = UdpSocket::open(loop, {IpAddress(), options.port});
    }
    if (!socket.ok()) return socket.error();

    host_options.bound = (*socket)->local_address().ip;
    host_options.dual_stack = (*socket)->dual_stack();
    host_options.include_loopback = options.include_loopback;
    for (const IpAddress& address : host_options.announce) {
        if (can_be_reached_at(host_options, address)) continue;
        return make_error(
            ErrorCode::kInvalid,
            fmt::format("{} cannot be announced: the socket is bound to {}, which "
                        "takes no IPv{}",
                        address.text(), host_options.bound.text(), address.is_v6() ? 6 : 4));
    }
    HostCandidates candidates(std::move(host_options), (*socket)->local_address().port,
                              machine_addresses);
    return std::unique_ptr<Endpoint>(
        std::make_unique<UdpEndpoint>(loop, clock, random, certificate, std::move(options),
                                      std::move(*socket), std::move(candidates)));
}

}  // namespace kollator::rtc
