#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "protocol/discovery.h"

namespace kollator::session {

/// What stands behind DHT_ANNOUNCE and DHT_LOOKUP. Loop thread only.
class Discovery {
 public:
    virtual ~Discovery() = default;

    /// Announces the chunks and torrents of these names that this worker holds, before all others;
    /// gives how many those are.
    virtual std::uint16_t announce(const std::vector<ChunkId>& ids) = 0;

    /// Who has announced a chunk or a torrent of this name: addresses of HTTP and data channels.
    /// `on_done` runs once, after this returned. kLimit: too many look-ups; kUnavailable, kTimeout:
    /// the DHT cannot be reached.
    using OnPeers = std::function<void(Result<std::vector<protocol::PeerAddress>>)>;
    virtual void look_up(const ChunkId& id, OnPeers on_done) = 0;
};

}  // namespace kollator::session
