#pragma once

#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "dht/contact.h"

namespace kollator::dht {

struct PeerStoreLimits {
    std::size_t max_keys = 2000;
    std::size_t max_peers_per_key = 200;
    std::size_t max_peers = 20'000;           ///< about 100 bytes each
    Duration ttl = std::chrono::minutes(30);  ///< peers announce again within it
};

/// What others announced to our node. Thread-safe: the DHT node's own thread adds. When it is full
/// the longest unheard go.
class PeerStore {
 public:
    explicit PeerStore(AddressPolicy policy, PeerStoreLimits limits = {});

    /// Addresses that the policy refuses are not kept.
    void add(TimePoint now, const InfoHash& key, const Endpoint& peer);
    /// Those heard of within the ttl, the last heard last.
    std::vector<Endpoint> peers(TimePoint now, const InfoHash& key);

    struct Stats {
        std::size_t keys = 0;
        std::size_t peers = 0;
        std::uint64_t announced = 0;  ///< that were kept, or kept anew
    };
    Stats stats() const;

 private:
    struct Peer {
        Endpoint at;
        TimePoint heard;
    };
    struct Mention {
        TimePoint heard;
        InfoHash key;
        Endpoint at;
    };

    void drop_oldest();
    void expire(TimePoint now);

    const AddressPolicy policy_;
    const PeerStoreLimits limits_;

    mutable std::mutex mutex_;
    // GUARDED_BY(mutex_):
    std::unordered_map<InfoHash, std::vector<Peer>, KeyedHash> keys_;
    std::deque<Mention> mentions_;  // in order of time; those heard again later count no more
    std::size_t peers_ = 0;
    std::uint64_t announced_ = 0;
};

}  // namespace kollator::dht
