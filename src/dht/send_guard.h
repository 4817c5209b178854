#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstdint>

#include "dht/contact.h"

namespace kollator::dht {

/// Stands between a thread and the network for as long as it lives: datagrams that the thread sends
/// to an address that the policy refuses fail with EPERM, as behind a firewall. For libtorrent,
/// whose own searches ask whatever address a hostile node names, and which has no setting against
/// it (ADR 9). Made and destroyed on the thread; one at a time.
class SendGuard {
 public:
    /// `refused` counts, and outlives it.
    SendGuard(AddressPolicy policy, std::atomic<std::uint64_t>& refused);
    ~SendGuard();
    SendGuard(const SendGuard&) = delete;
    SendGuard& operator=(const SendGuard&) = delete;

    /// Whether this thread may send to a socket address; counts where it may not. What is no
    /// internet address, or none at all (a connected socket), is not looked at.
    static bool permits(const void* address, socklen_t size_bytes);

 private:
    const AddressPolicy policy_;
    std::atomic<std::uint64_t>& refused_;
};

}  // namespace kollator::dht
