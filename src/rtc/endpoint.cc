#include "rtc/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "rtc/mux/host_addresses.h"
#include "rtc/udp_endpoint.h"

namespace kollator::rtc {

namespace {

std::vector<Candidate> host_candidates(const std::vector<IpAddress>& addresses,
                                       std::uint16_t port) {
    std::vector<Candidate> candidates;
    std::uint16_t preference = 65535;
    for (const IpAddress& address : addresses) {
        Candidate candidate;
        // RFC 8445 5.1.1.3: candidates of different bases have different foundations.
        candidate.foundation = std::to_string(candidates.size() + 1);
        candidate.priority = candidate_priority(CandidateType::kHost, preference--);
        candidate.address = {address, port};
        candidates.push_back(std::move(candidate));
    }
    return candidates;
}

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
    std::vector<Candidate> candidates = host_candidates(
        choose_host_addresses(host_options, machine_addresses()), (*socket)->local_address().port);
    return std::unique_ptr<Endpoint>(
        std::make_unique<UdpEndpoint>(loop, clock, random, certificate, std::move(options),
                                      std::move(*socket), std::move(candidates)));
}

}  // namespace kollator::rtc
