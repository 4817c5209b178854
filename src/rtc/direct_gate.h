#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/ids.h"
#include "base/time.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

struct DirectLimits {
    std::size_t per_second = 500;  ///< new connections by direct dial, in all
    /// From one IPv4 address or one IPv6 /64: a network of many people behind one address fits.
    std::size_t per_source_per_second = 50;
    /// Not connected yet, in all (0: an eighth of max_connections), so that strangers leave room
    /// for those who come by signaling; and from one source. See PendingPeers.
    std::size_t max_pending = 0;
    std::size_t max_pending_per_source = 64;
};

/// What counts as one source: an IPv4 address or an IPv6 /64.
std::string source_key(const IpAddress& source);

/// Who may begin a connection by direct dial: bounds on what strangers can make the endpoint do,
/// and the memory of which user names have had their connection.
class DirectGate {
 public:
    explicit DirectGate(DirectLimits limits) : limits_(limits) {}

    /// Counts, and tells whether this one may pass. Counts are of one second each, so that twice
    /// the limit can pass around the turn of one.
    bool admit(TimePoint now, const IpAddress& source);

    /// The connection of this user name has ended. A client that missed the end still checks; a
    /// connection made from that would answer it, and so keep the end from it.
    void retire(std::string_view ufrag);
    bool is_retired(std::string_view ufrag) const;

    static constexpr std::size_t kMaxRetired = 4096;

 private:
    const DirectLimits limits_;
    TimePoint window_ends_{};
    std::size_t admitted_ = 0;
    /// Never more than `per_second` in one window.
    std::unordered_map<std::string, std::size_t, KeyedHash, std::equal_to<>> by_source_;
    std::unordered_set<std::string, KeyedHash, std::equal_to<>> retired_;
    std::deque<std::string> retired_order_;  ///< the oldest first
};

}  // namespace kollator::rtc
