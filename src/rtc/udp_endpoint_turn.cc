// The turn of an endpoint's loop: who is served, when the timer runs, who is torn down.
#include <algorithm>

#include "base/log.h"
#include "rtc/udp_endpoint.h"

namespace kollator::rtc {

namespace {

const log::Logger kLog("rtc");

// The SCTP stack is asked for its next timeout; this bounds what it may say.
constexpr Duration kMaxSleep = std::chrono::seconds(1);

// Peers' own timers (checks, handshakes) are served in batches: with 1,000 peers there are some
// 400 a second, and each would be a turn.
constexpr Duration kTimerGrain = std::chrono::milliseconds(20);

}  // namespace

void UdpEndpoint::mark(PeerConnection& peer) {
    if (!peer.marked) {
        peer.marked = true;
        marked_.push_back(peer.id());
    }
    request_turn();
}

/// Something was called from outside of a turn: one comes soon, for all that is called until then.
void UdpEndpoint::request_turn() {
    if (in_turn_ || turn_requested_) return;
    turn_requested_ = true;
    loop_.post([this, alive = alive_] {
        if (!*alive) return;
        turn_requested_ = false;
        run_turn();
    });
}

void UdpEndpoint::run_turn() {
    const TimePoint now = clock_.now();
    in_turn_ = true;
    serve_marked(now);
    set_timer(now);
    flush();
    in_turn_ = false;
}

/// While the kernel has no room nothing more is made for it: the peers' data waits where it counts
/// against their buffers, and is neither dropped nor late in a queue of ours.
void UdpEndpoint::flush() {
    socket_->flush();
    if (socket_->blocked()) stack_->set_output(false);
}

void UdpEndpoint::on_socket_writable() {
    stack_->set_output(true);
    request_turn();
}

void UdpEndpoint::serve_marked(TimePoint now) {
    // Observers may call anything but the destructor: peers that they mark are served in this turn
    // as well, but each peer once, so that two of them cannot keep the loop for themselves.
    std::vector<PeerId> batch = std::exchange(marked_, {});
    for (const PeerId id : batch) {
        const auto found = peers_.find(id);
        if (found == peers_.end()) continue;
        PeerConnection& peer = *found->second;
        peer.marked = false;
        const bool was_connected = peer.connected();
        peer.service(now);
        if (peer.finished()) {
            if (was_connected) --connected_;
            remove(id);
        } else {
            schedule(peer);
            if (peer.wants_service()) mark(peer);
        }
    }
    if (marked_.empty()) return;
    in_turn_ = false;
    request_turn();
    in_turn_ = true;
}

void UdpEndpoint::schedule(PeerConnection& peer) {
    const std::optional<TimePoint> next = peer.next_timeout();
    if (next == peer.scheduled) return;
    if (peer.scheduled) deadlines_.erase({*peer.scheduled, peer.id()});
    if (next) deadlines_.insert({*next, peer.id()});
    peer.scheduled = next;
}

/// REQUIRES: no call of this peer is on the stack.
void UdpEndpoint::remove(PeerId id) {
    const auto found = peers_.find(id);
    PeerConnection& peer = *found->second;
    if (peer.scheduled) deadlines_.erase({*peer.scheduled, id});
    for (const IcePath& path : peer.addresses()) routes_.erase(RouteKey(path));
    list_by_ip(peer, std::nullopt);
    for (const std::string& ufrag : peer.ufrags) by_ufrag_.erase(ufrag);
    dialed_.remove(id);
    if (peer.dialed_directly() && !peer.gave_way()) gate_.retire(peer.ufrags.front());
    kLog.debug("event=removed peer={}", id);
    peers_.erase(found);
}

void UdpEndpoint::set_timer(TimePoint now) {
    if (peers_.empty()) {
        timer_.cancel();
        timer_at_.reset();
        return;
    }
    TimePoint next = std::min(now + kMaxSleep, stack_->next_timeout(now));
    if (!deadlines_.empty()) {
        next = std::min(next, std::max(deadlines_.begin()->first, now + kTimerGrain));
    }
    if (timer_at_ && *timer_at_ <= next && *timer_at_ > now) return;
    timer_at_ = next;
    timer_.start_at(next, [this] {
        timer_at_.reset();
        run_timers();
    });
}

void UdpEndpoint::run_timers() {
    const TimePoint now = clock_.now();
    in_turn_ = true;
    const bool stack_due = stack_->next_timeout(now) <= now;
    if (stack_due) stack_->handle_timers(now);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        PeerConnection& peer = *peers_.at(deadlines_.begin()->second);
        deadlines_.erase(deadlines_.begin());
        peer.scheduled.reset();
        peer.handle_timeout(now);
        mark(peer);
    }
    // usrsctp's timers serve all associations at once, and do not tell which have something to do.
    if (stack_due && options_.sctp == SctpImplementation::kUsrsctp) {
        for (const auto& [id, peer] : peers_) {
            if (peer->wants_service()) mark(*peer);
        }
    }
    run_turn();
}

}  // namespace kollator::rtc
