#include "dht/send_guard.h"

#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/check.h"

namespace kollator::dht {
namespace {

thread_local SendGuard* t_guard = nullptr;

std::optional<Endpoint> endpoint_of(const void* address, socklen_t size_bytes) {
    if (address == nullptr || size_bytes < sizeof(sa_family_t)) return std::nullopt;
    sa_family_t family = AF_UNSPEC;
    std::memcpy(&family, address, sizeof family);
    // In the compact form, which knows v4 addresses that are mapped into v6.
    if (family == AF_INET && size_bytes >= sizeof(sockaddr_in)) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        std::array<std::uint8_t, Endpoint::kCompactV4> compact{};
        std::memcpy(compact.data(), &v4.sin_addr, 4);
        std::memcpy(compact.data() + 4, &v4.sin_port, 2);
        return Endpoint::from_compact(compact);
    }
    if (family == AF_INET6 && size_bytes >= sizeof(sockaddr_in6)) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address, sizeof v6);
        std::array<std::uint8_t, Endpoint::kCompactV6> compact{};
        std::memcpy(compact.data(), &v6.sin6_addr, 16);
        std::memcpy(compact.data() + 16, &v6.sin6_port, 2);
        return Endpoint::from_compact(compact);
    }
    return std::nullopt;
}

}  // namespace

SendGuard::SendGuard(AddressPolicy policy, std::atomic<std::uint64_t>& refused)
    : policy_(policy), refused_(refused) {
    KOLLATOR_CHECK(t_guard == nullptr);
    t_guard = this;
}

SendGuard::~SendGuard() {
    t_guard = nullptr;
}

bool SendGuard::permits(const void* address, socklen_t size_bytes) {
    if (t_guard == nullptr) return true;
    const auto to = endpoint_of(address, size_bytes);
    if (!to || t_guard->policy_.allows(*to)) return true;
    t_guard->refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
}

}  // namespace kollator::dht

// The C library's functions of these names, for the whole process: a shared library's calls come
// here too, since the executable's symbols are found before the C library's, as an allocator's are.
// Asio sends datagrams by sendmsg (1.74) or sendto (later).
extern "C" {

ssize_t sendmsg(int socket, const msghdr* message, int flags) {
    if (!kollator::dht::SendGuard::permits(message->msg_name, message->msg_namelen)) {
        errno = EPERM;
        return -1;
    }
    return ::syscall(SYS_sendmsg, socket, message, flags);
}

ssize_t sendto(int socket, const void* bytes, size_t count, int flags, const sockaddr* to,
               socklen_t to_size_bytes) {
    if (!kollator::dht::SendGuard::permits(to, to_size_bytes)) {
        errno = EPERM;
        return -1;
    }
    return ::syscall(SYS_sendto, socket, bytes, count, flags, to, to_size_bytes);
}

}  // extern "C"
