#include "tests/support/public_network.h"

#include <arpa/inet.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "base/check.h"

namespace kollator::testing {
namespace {

constexpr int kV6Addresses = 9;
constexpr int kMostTries = 5000;

sockaddr address_v4(const char* text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    KOLLATOR_CHECK(inet_pton(AF_INET, text, &address.sin_addr) == 1);
    sockaddr out{};
    std::memcpy(&out, &address, sizeof address);
    return out;
}

ifreq request_for(const char* name) {
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return request;
}

/// All of a loopback interface's prefix is this machine's.
void add_v4(int socket, const char* label, const char* address) {
    ifreq request = request_for(label);
    request.ifr_addr = address_v4(address);
    KOLLATOR_CHECK(::ioctl(socket, SIOCSIFADDR, &request) == 0);
    request.ifr_netmask = address_v4("255.0.0.0");
    KOLLATOR_CHECK(::ioctl(socket, SIOCSIFNETMASK, &request) == 0);
}

/// Waits until it is usable: the kernel looks for duplicates first, on loopback too.
void add_v6(int socket, int number) {
    in6_ifreq request{};
    const std::string text = "2a00:" + std::to_string(number) + "::1";
    KOLLATOR_CHECK(inet_pton(AF_INET6, text.c_str(), &request.ifr6_addr) == 1);
    request.ifr6_prefixlen = 128;
    request.ifr6_ifindex = static_cast<int>(::if_nametoindex("lo"));
    KOLLATOR_CHECK(::ioctl(socket, SIOCSIFADDR, &request) == 0);

    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = request.ifr6_addr;
    const int trial = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int tries = kMostTries;
    while (::bind(trial, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        KOLLATOR_CHECK(--tries > 0);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::close(trial);
}

}  // namespace

bool enter_public_network() {
    if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    const int v4 = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int v6 = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    KOLLATOR_CHECK(v4 >= 0 && v6 >= 0);
    ifreq up = request_for("lo");
    up.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    KOLLATOR_CHECK(::ioctl(v4, SIOCSIFFLAGS, &up) == 0);
    add_v4(v4, "lo:public", "45.0.0.1");
    add_v4(v4, "lo:private", "10.0.0.1");
    for (int i = 1; i <= kV6Addresses; ++i) add_v6(v6, i);
    ::close(v4);
    ::close(v6);
    return true;
}

}  // namespace kollator::testing
