#pragma once

#include <linux/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <thread>

#include "rtc/socket_address.h"

namespace kollator::rtc {

/// linux/ipv6.h's, which cannot be included beside netinet/in.h.
struct Ipv6Request {
    in6_addr address;
    std::uint32_t prefix_bits;
    int interface;
};

/// A new address is tentative for a moment, and nobody can send from it. False: after 10 s still.
inline bool can_be_used(const IpAddress& address) {
    sockaddr_storage raw{};
    const socklen_t size = SocketAddress{address, 0}.to_sockaddr(raw, false);
    for (int tries = 0; tries < 10'000; ++tries) {
        const int descriptor = ::socket(AF_INET6, SOCK_DGRAM, 0);
        const bool bound = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&raw), size) == 0;
        ::close(descriptor);
        if (bound) return true;
        ::poll(nullptr, 0, 1);
    }
    return false;
}

/// Runs `body` on a thread with a network namespace of its own, which has nothing but loopback with
/// ::1 and `second` as its addresses. False where that is not allowed, or there is no IPv6.
inline bool run_in_own_network(const IpAddress& second, const std::function<void()>& body) {
    bool ran = false;
    std::thread thread([&] {
        if (unshare(CLONE_NEWNET) != 0) return;
        const int descriptor = ::socket(AF_INET6, SOCK_DGRAM, 0);
        if (descriptor < 0) return;
        ifreq up{};
        std::strcpy(up.ifr_name, "lo");
        up.ifr_flags = IFF_UP | IFF_RUNNING;
        bool ready = ::ioctl(descriptor, SIOCSIFFLAGS, &up) == 0;
        ready = ready && ::ioctl(descriptor, SIOCGIFINDEX, &up) == 0;
        Ipv6Request request{{}, 128, up.ifr_ifindex};
        std::memcpy(&request.address, second.bytes().data(), sizeof(request.address));
        ready = ready && ::ioctl(descriptor, SIOCSIFADDR, &request) == 0;
        ::close(descriptor);
        const IpAddress first = *IpAddress::parse("::1");
        if (!ready || !can_be_used(first) || !can_be_used(second)) return;
        ran = true;
        body();
    });
    thread.join();
    return ran;
}

}  // namespace kollator::rtc
