#include "dht/peer_store.h"

#include <algorithm>

namespace kollator::dht {

PeerStore::PeerStore(AddressPolicy policy, PeerStoreLimits limits)
    : policy_(policy), limits_(limits) {}

void PeerStore::drop_oldest() {
    const Mention oldest = mentions_.front();
    mentions_.pop_front();
    const auto found = keys_.find(oldest.key);
    if (found == keys_.end()) return;
    auto& peers = found->second;
    const auto peer = std::find_if(peers.begin(), peers.end(), [&](const Peer& each) {
        return each.at == oldest.at && each.heard == oldest.heard;
    });
    if (peer == peers.end()) return;  // heard again since
    peers.erase(peer);
    --peers_;
    if (peers.empty()) keys_.erase(found);
}

void PeerStore::expire(TimePoint now) {
    while (!mentions_.empty() && now - mentions_.front().heard >= limits_.ttl) drop_oldest();
}

void PeerStore::add(TimePoint now, const InfoHash& key, const Endpoint& peer) {
    if (!policy_.allows(peer)) return;
    const std::lock_guard lock(mutex_);
    expire(now);
    auto& peers = keys_[key];
    const auto known =
        std::find_if(peers.begin(), peers.end(), [&](const Peer& each) { return each.at == peer; });
    if (known != peers.end()) {
        // A peer that announces in a flood is moved, and its old mentions drained below.
        peers.erase(known);
        --peers_;
    } else if (peers.size() >= limits_.max_peers_per_key) {
        peers.erase(peers.begin());
        --peers_;
    }
    peers.push_back({peer, now});
    ++peers_;
    ++announced_;
    mentions_.push_back({now, key, peer});
    while (keys_.size() > limits_.max_keys || peers_ > limits_.max_peers ||
           mentions_.size() > 2 * limits_.max_peers) {
        drop_oldest();
    }
}

std::vector<Endpoint> PeerStore::peers(TimePoint now, const InfoHash& key) {
    const std::lock_guard lock(mutex_);
    expire(now);
    std::vector<Endpoint> out;
    const auto found = keys_.find(key);
    if (found == keys_.end()) return out;
    for (const Peer& peer : found->second) out.push_back(peer.at);
    return out;
}

PeerStore::Stats PeerStore::stats() const {
    const std::lock_guard lock(mutex_);
    return {keys_.size(), peers_, announced_};
}

}  // namespace kollator::dht
