#include "rtc/sctp/usrsctp_library.h"

#include <arpa/inet.h>
#include <usrsctp.h>

#include <cstdint>
#include <cstdlib>
#include <unordered_map>

#include "rtc/sctp/usrsctp_association.h"

namespace kollator::rtc {
namespace {

/// Chunks cut and not acknowledged. The default of 512 would stop 256 KiB messages at two.
constexpr std::uint32_t kMaxChunksOnQueue = 4096;
/// RFC 6928: 10 segments.
constexpr std::uint32_t kInitialWindowSegments = 10;
/// RFC 9260 recommends 1 s to 60 s; a lost tail would stall for the whole second.
constexpr std::uint32_t kRtoMinMs = 200;
constexpr std::uint32_t kRtoInitialMs = 1000;
constexpr std::uint32_t kRtoMaxMs = 10'000;
/// RFC 9260 6.2: "SHOULD be 200 ms"; a tenth, since window updates of ours drive the peer.
constexpr std::uint32_t kDelayedSackMs = 20;

/// RFC 3649: as the standard one up to 38 segments, and beyond that quicker back after a loss. (At
/// 50 ms and one loss in 1,000 it carried 2 to 5 times as much.)
constexpr std::uint32_t kCongestionControl = SCTP_CC_HSTCP;
/// No limit. With one, usrsctp takes the congestion window down to what is in flight and the limit
/// whenever it finds them apart, which batches of SACKs do all the time; and the initial window is
/// never over it.
constexpr std::uint32_t kMaxBurst = 0;

struct Registry {
    std::unordered_map<std::uintptr_t, UsrsctpAssociation*> by_handle;
    std::uintptr_t last = 0;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

UsrsctpAssociation* find(void* handle) {
    const auto& all = registry().by_handle;
    const auto found = all.find(reinterpret_cast<std::uintptr_t>(handle));
    return found == all.end() ? nullptr : found->second;
}

/// Runs inside sendv, conninput, handle_timers and close, with usrsctp's locks held.
int send_packet(void* handle, void* packet, std::size_t size, std::uint8_t, std::uint8_t) {
    UsrsctpAssociation* association = find(handle);
    if (association != nullptr) {
        association->on_output({static_cast<std::uint8_t*>(packet), size});
    }
    return 0;  // lost or sent is all the same to SCTP
}

/// Runs inside conninput and handle_timers. `data` is ours from here on; null is the socket's end.
int receive(struct socket*, sctp_sockstore, void* data, std::size_t size, sctp_rcvinfo info,
            int flags, void* handle) {
    MallocBytes owned(static_cast<std::uint8_t*>(data));
    UsrsctpAssociation* association = find(handle);
    if (association == nullptr || data == nullptr) return 1;
    if ((flags & MSG_NOTIFICATION) != 0) {
        association->on_notification({owned.get(), size});
        return 1;
    }
    UsrsctpAssociation::Piece piece;
    piece.stream = info.rcv_sid;
    piece.ppid = ntohl(info.rcv_ppid);
    piece.last = (flags & MSG_EOR) != 0;
    piece.data = std::move(owned);
    piece.size_bytes = size;
    association->on_piece(std::move(piece));
    return 1;
}

/// Runs inside conninput, after a SACK.
int send_space(struct socket*, std::uint32_t free_bytes, void* handle) {
    if (UsrsctpAssociation* association = find(handle)) association->on_send_space(free_bytes);
    return 1;
}

void start_library() {
    usrsctp_init_nothreads(0, send_packet, nullptr);
    usrsctp_enable_crc32c_offload();
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_sysctl_set_sctp_asconf_enable(0);
    usrsctp_sysctl_set_sctp_auto_asconf(0);
    usrsctp_sysctl_set_sctp_auth_enable(0);
    usrsctp_sysctl_set_sctp_nrsack_enable(0);
    usrsctp_sysctl_set_sctp_pktdrop_enable(0);
    usrsctp_sysctl_set_sctp_pr_enable(1);
    usrsctp_sysctl_set_sctp_reconfig_enable(1);
    // No ABORT in answer to packets of an association that is gone.
    usrsctp_sysctl_set_sctp_blackhole(2);
    usrsctp_sysctl_set_sctp_max_chunks_on_queue(kMaxChunksOnQueue);
    usrsctp_sysctl_set_sctp_default_cc_module(kCongestionControl);
    usrsctp_sysctl_set_sctp_max_burst_default(kMaxBurst);
    usrsctp_sysctl_set_sctp_initial_cwnd(kInitialWindowSegments);
    usrsctp_sysctl_set_sctp_rto_min_default(kRtoMinMs);
    usrsctp_sysctl_set_sctp_rto_initial_default(kRtoInitialMs);
    usrsctp_sysctl_set_sctp_rto_max_default(kRtoMaxMs);
    usrsctp_sysctl_set_sctp_init_rto_max_default(kRtoMaxMs);
    usrsctp_sysctl_set_sctp_delayed_sack_time_default(kDelayedSackMs);
}

}  // namespace

void init_usrsctp() {
    static const bool started = [] {
        start_library();
        return true;
    }();
    static_cast<void>(started);
}

void* register_association(UsrsctpAssociation& association) {
    Registry& all = registry();
    const std::uintptr_t handle = ++all.last;
    all.by_handle.emplace(handle, &association);
    auto* address = reinterpret_cast<void*>(handle);
    usrsctp_register_address(address);
    return address;
}

void unregister_association(void* handle) {
    usrsctp_deregister_address(handle);
    registry().by_handle.erase(reinterpret_cast<std::uintptr_t>(handle));
}

struct socket* open_usrsctp_socket(void* handle) {
    // Threshold 0: tell of the free space after every SACK.
    return usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, receive, send_space, 0, handle);
}

}  // namespace kollator::rtc
