#include "rtc/mux/host_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace kollator::rtc {

std::vector<IpAddress> machine_addresses() {
    std::vector<IpAddress> addresses;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return addresses;
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_UP) == 0) continue;
        sockaddr_storage raw{};
        raw.ss_family = each->ifa_addr->sa_family;
        if (raw.ss_family != AF_INET && raw.ss_family != AF_INET6) continue;
        std::memcpy(&raw, each->ifa_addr,
                    raw.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        if (const auto address = SocketAddress::from_sockaddr(raw))
            addresses.push_back(address->ip);
    }
    freeifaddrs(list);
    return addresses;
}

bool can_be_reached_at(const HostAddressOptions& options, const IpAddress& address) {
    return options.dual_stack || address.is_v6() == options.bound.is_v6();
}

std::vector<IpAddress> choose_host_addresses(const HostAddressOptions& options,
                                             const std::vector<IpAddress>& machine) {
    std::vector<IpAddress> chosen;
    const auto add = [&chosen](const IpAddress& address) {
        const bool known = std::find(chosen.begin(), chosen.end(), address) != chosen.end();
        if (!known && chosen.size() < kMaxHostAddresses) chosen.push_back(address);
    };
    std::vector<IpAddress> loopback;
    for (const IpAddress& address : machine) {
        if (!can_be_reached_at(options, address) || !address.is_loopback()) continue;
        loopback.push_back(address);
    }
    for (const IpAddress& address : options.announce) add(address);
    if (options.announce.empty() && !options.bound.is_unspecified()) add(options.bound);
    if (options.announce.empty() && options.bound.is_unspecified()) {
        for (const IpAddress& address : machine) {
            const bool link_local_v6 = address.is_v6() && address.is_link_local();
            if (can_be_reached_at(options, address) && !address.is_loopback() && !link_local_v6)
                add(address);
        }
    }
    const bool bound_elsewhere = !options.bound.is_unspecified() && !options.bound.is_loopback();
    if (chosen.empty() || (options.include_loopback && !bound_elsewhere)) {
        for (const IpAddress& address : loopback) add(address);
    }
    return chosen;
}

}  // namespace kollator::rtc
