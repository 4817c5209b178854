#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "base/ids.h"
#include "rtc/endpoint.h"
#include "rtc/socket_address.h"

namespace kollator::rtc {

/// The connections that strangers began by direct dial and that are not connected yet: bounded in
/// all and for each source, since a check's source may be forged and its key is the sender's own.
///
/// At a bound the oldest whose address is not proved gives way to the new one: who is honest proves
/// its address within a round trip, and what a forged source began never does. Where all are proved
/// the new one is refused.
class PendingPeers {
 public:
    PendingPeers(std::size_t most, std::size_t most_per_source)
        : most_(most), most_per_source_(most_per_source) {}

    struct Room {
        bool there = false;
        std::optional<PeerId> gives_way;  ///< to be closed; it is not listed any more
    };
    /// For one more of this source.
    Room make_room(const IpAddress& source);
    /// Ids grow.
    void add(PeerId peer, const IpAddress& source);
    /// The address answered a check. Peers that are not listed are no fault, here and below.
    void set_proved(PeerId peer);
    /// It is connected, or gone. False: it was not listed.
    bool remove(PeerId peer);
    std::size_t size() const { return peers_.size(); }

 private:
    struct Peer {
        std::string source;
        bool proved = false;
    };
    struct Source {
        std::size_t peers = 0;
        std::set<PeerId> unproved;
    };

    const std::size_t most_;
    const std::size_t most_per_source_;
    std::map<PeerId, Peer> peers_;
    std::set<PeerId> unproved_;
    std::unordered_map<std::string, Source, KeyedHash, std::equal_to<>> sources_;
};

}  // namespace kollator::rtc
