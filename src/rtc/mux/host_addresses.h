#pragma once

#include <vector>

#include "rtc/socket_address.h"

namespace kollator::rtc {

/// The addresses of this machine's interfaces that are up, loopback included.
std::vector<IpAddress> machine_addresses();

struct HostAddressOptions {
    IpAddress bound;  ///< what the socket is bound to
    bool dual_stack = false;
    std::vector<IpAddress> announce;  ///< if any, instead of the machine's own
    bool include_loopback = false;
};

/// Whether the socket takes what is sent to an address of this family.
bool can_be_reached_at(const HostAddressOptions& options, const IpAddress& address);

/// Which addresses an answer names, the best first; at most kMaxHostAddresses. Link-local v6 ones
/// are left out (they need a scope, which SDP cannot say), and so are loopback ones unless the
/// socket is bound to it, nothing else is there, or the options want it.
std::vector<IpAddress> choose_host_addresses(const HostAddressOptions& options,
                                             const std::vector<IpAddress>& machine);

constexpr std::size_t kMaxHostAddresses = 16;

}  // namespace kollator::rtc
