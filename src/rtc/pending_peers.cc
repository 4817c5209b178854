#include "rtc/pending_peers.h"

#include "rtc/direct_gate.h"

namespace kollator::rtc {

PendingPeers::Room PendingPeers::make_room(const IpAddress& source) {
    const auto same = sources_.find(source_key(source));
    const bool source_is_full = same != sources_.end() && same->second.peers >= most_per_source_;
    if (!source_is_full && peers_.size() < most_) return {true, {}};
    const std::set<PeerId>& candidates = source_is_full ? same->second.unproved : unproved_;
    if (candidates.empty()) return {};
    const PeerId oldest = *candidates.begin();
    remove(oldest);
    return {true, oldest};
}

void PendingPeers::add(PeerId peer, const IpAddress& source) {
    const std::string key = source_key(source);
    peers_.emplace(peer, Peer{key, false});
    unproved_.insert(peer);
    Source& same = sources_[key];
    ++same.peers;
    same.unproved.insert(peer);
}

void PendingPeers::set_proved(PeerId peer) {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || found->second.proved) return;
    found->second.proved = true;
    unproved_.erase(peer);
    sources_.find(found->second.source)->second.unproved.erase(peer);
}

bool PendingPeers::remove(PeerId peer) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return false;
    unproved_.erase(peer);
    const auto same = sources_.find(found->second.source);
    same->second.unproved.erase(peer);
    if (--same->second.peers == 0) sources_.erase(same);
    peers_.erase(found);
    return true;
}

}  // namespace kollator::rtc
