#include "rtc/hub/sharded_hub.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kollator::rtc::hub {

namespace {

const log::Logger kLog("rtc");

Error no_such_peer() {
    return make_error(ErrorCode::kNotFound, "no such peer");
}

Error too_many(const char* what) {
    return make_error(ErrorCode::kLimit, std::string("too many ") + what);
}

void add(EndpointStats& sum, const EndpointStats& each) {
    sum.active += each.active;
    sum.pending += each.pending;
    sum.total += each.total;
    sum.bytes_sent += each.bytes_sent;
    sum.bytes_received += each.bytes_received;
    sum.packets_sent += each.packets_sent;
    sum.packets_received += each.packets_received;
    sum.send_calls += each.send_calls;
    sum.receive_calls += each.receive_calls;
    sum.packets_dropped += each.packets_dropped;
    sum.retransmitted_bytes += each.retransmitted_bytes;
    sum.buffered_bytes += each.buffered_bytes;
    sum.unread_bytes += each.unread_bytes;
}

}  // namespace

// ---- the way to a shard, and back ----

ShardedHub::Link::Link(EventLoop& loop, std::unique_ptr<Shard> shard)
    : candidates(shard->candidates()),
      direct_addresses(shard->direct_addresses()),
      loop_(loop),
      shard_(std::move(shard)) {}

void ShardedHub::Link::push(Command command) {
    commands_.push_back(std::move(command));
    if (commands_.size() > 1) return;
    loop_.post([this, alive = alive_] {
        if (*alive) shard_->post(std::exchange(commands_, {}));
    });
}

ShardedHub::ShardedHub(EventLoop& loop, std::unique_ptr<ConnectionCount> count,
                       std::vector<std::unique_ptr<Shard>> shards, std::size_t max_send_bytes)
    : loop_(loop), count_(std::move(count)), send_budget_{max_send_bytes, 0} {
    for (std::unique_ptr<Shard>& shard : shards) {
        report_.shards.push_back({shard->port(), {}});
        kLog.info("event=shard number={} port={}", links_.size(), shard->port());
        links_.push_back(std::make_unique<Link>(loop_, std::move(shard)));
    }
    for (std::size_t i = 0; i < links_.size(); ++i) {
        links_[i]->shard_->start([this, i, alive = alive_](std::vector<Event> events) {
            // std::function wants copyable callables.
            auto batch = std::make_shared<std::vector<Event>>(std::move(events));
            loop_.post([this, i, alive, batch = std::move(batch)] {
                if (*alive) handle_all(i, *batch);
            });
        });
    }
}

ShardedHub::~ShardedHub() {
    *alive_ = false;
    for (const auto& link : links_) *link->alive_ = false;
    // The threads end before what they count goes.
    for (const auto& link : links_) link->shard_.reset();
    peers_.clear();
}

void ShardedHub::handle_all(std::size_t shard, std::vector<Event>& events) {
    for (Event& event : events) {
        std::visit([this, shard](auto& each) { handle(shard, each); }, event);
    }
}

template <typename OfPeer>
void ShardedHub::handle(std::size_t, OfPeer& event) {
    if (RemotePeer* const peer = find(event.peer)) peer->handle(event);
}

void ShardedHub::handle(std::size_t shard, ChannelEvent& event) {
    const PeerId id = event.peer;
    const std::size_t cost = event.cost();
    if (RemotePeer* const peer = find(id)) peer->handle(event);
    consume(shard, id, cost);
}

void ShardedHub::handle(std::size_t shard, MessageEvent& event) {
    if (RemotePeer* const peer = find(event.peer)) peer->handle(event);
    consume(shard, event.peer, cost_of(event.message));
}

void ShardedHub::consume(std::size_t shard, PeerId peer, std::size_t bytes) {
    // The messages of a turn are mostly of one peer.
    std::vector<Command>& waiting = links_[shard]->commands_;
    auto* const last = waiting.empty() ? nullptr : std::get_if<ConsumedCommand>(&waiting.back());
    if (last != nullptr && last->peer == peer) {
        last->bytes += bytes;
    } else {
        links_[shard]->push(ConsumedCommand{peer, bytes});
    }
}

// ---- peers ----

RemotePeer* ShardedHub::find(PeerId peer) const {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? nullptr : found->second.get();
}

void ShardedHub::add_peer(PeerId id, std::size_t shard, std::unique_ptr<PeerObserver> observer) {
    Link& link = *links_[shard];
    ++link.peers;
    peers_.emplace(
        id, std::make_unique<RemotePeer>(id, shard, link, send_budget_, std::move(observer)));
}

void ShardedHub::remove_peer(PeerId id) {
    const auto found = peers_.find(id);
    const std::unique_ptr<RemotePeer> peer = std::move(found->second);
    peers_.erase(found);
    --links_[peer->shard()]->peers;
    if (peer->connected()) --counts_.active;
}

std::size_t ShardedHub::least_loaded() const {
    const auto least =
        std::min_element(links_.begin(), links_.end(),
                         [](const auto& a, const auto& b) { return a->peers < b->peers; });
    return static_cast<std::size_t>(least - links_.begin());
}

void ShardedHub::handle(std::size_t shard, ConnectedEvent& event) {
    RemotePeer* const peer = find(event.peer);
    if (peer == nullptr) return;
    ++counts_.active;
    ++counts_.total;
    kLog.debug("event=connected peer={} shard={}", event.peer, shard);
    peer->handle(event);
}

void ShardedHub::handle(std::size_t, ClosedEvent& event) {
    RemotePeer* const peer = find(event.peer);
    if (peer == nullptr) return;
    peer->handle(event);
    remove_peer(event.peer);
}

void ShardedHub::handle(std::size_t shard, DialedEvent& event) {
    auto observer = acceptor_ ? acceptor_(event.peer) : nullptr;
    if (observer) return add_peer(event.peer, shard, std::move(observer));
    links_[shard]->push(ClosePeerCommand{event.peer, "refused"});
}

std::optional<PeerHub::Fingerprint> ShardedHub::peer_fingerprint(PeerId id) const {
    const RemotePeer* const peer = find(id);
    return peer == nullptr ? std::nullopt : peer->fingerprint();
}

// ---- signaling ----

std::optional<RequestId> ShardedHub::make_request(OnReply on_reply) {
    if (requests_.size() >= kMaxRequests) return std::nullopt;
    requests_.emplace(++last_request_, std::move(on_reply));
    return last_request_;
}

void ShardedHub::handle(std::size_t, ReplyEvent& event) {
    const auto found = requests_.find(event.request);
    const OnReply on_reply = std::move(found->second);
    requests_.erase(found);
    on_reply(std::move(event.text));
}

PeerId ShardedHub::accept(std::string_view offer_sdp, std::unique_ptr<PeerObserver> observer,
                          OnAnswer on_done) {
    if (requests_.size() >= kMaxRequests || !count_->try_add()) {
        on_done(too_many("connections"));
        return 0;
    }
    const PeerId id = count_->new_id();
    const std::size_t shard = least_loaded();
    add_peer(id, shard, std::move(observer));
    const auto request =
        make_request([this, id, on_done = std::move(on_done)](Result<std::string> sdp) {
            if (sdp.ok()) return on_done(Answer{id, std::move(*sdp)});
            remove_peer(id);
            on_done(sdp.error());
        });
    links_[shard]->push(AcceptCommand{id, *request, std::string(offer_sdp)});
    return id;
}

void ShardedHub::renegotiate(PeerId id, std::string_view offer_sdp, OnAnswer on_done) {
    const RemotePeer* const peer = find(id);
    if (peer == nullptr) return on_done(no_such_peer());
    const auto request = make_request([id, on_done](Result<std::string> sdp) {
        on_done(sdp.ok() ? Result<Answer>(Answer{id, std::move(*sdp)}) : sdp.error());
    });
    if (!request) return on_done(too_many("offers"));
    links_[peer->shard()]->push(RenegotiateCommand{id, *request, std::string(offer_sdp)});
}

void ShardedHub::restart_ice(PeerId id, const IceCredentials& remote, OnFragment on_done) {
    const RemotePeer* const peer = find(id);
    if (peer == nullptr) return on_done(no_such_peer());
    const auto request = make_request([on_done](Result<std::string> text) { on_done(text); });
    if (!request) return on_done(too_many("restarts"));
    links_[peer->shard()]->push(RestartCommand{id, *request, remote});
}

void ShardedHub::add_remote_candidates(PeerId id, std::vector<std::string> candidates,
                                       OnStatus on_done) {
    const RemotePeer* const peer = find(id);
    if (peer == nullptr) return on_done(no_such_peer());
    const auto request = make_request([on_done](Result<std::string> text) {
        on_done(text.ok() ? Status() : Status(text.error()));
    });
    if (!request) return on_done(too_many("candidates"));
    links_[peer->shard()]->push(CandidatesCommand{id, *request, std::move(candidates)});
}

void ShardedHub::close(PeerId id, const std::string& reason) {
    const RemotePeer* const peer = find(id);
    if (peer != nullptr) links_[peer->shard()]->push(ClosePeerCommand{id, reason});
}

void ShardedHub::close_all(const std::string& reason) {
    for (const auto& [id, peer] : peers_) {
        links_[peer->shard()]->push(ClosePeerCommand{id, reason});
    }
}

void ShardedHub::accept_direct(Endpoint::DirectAcceptor acceptor) {
    acceptor_ = std::move(acceptor);
    for (const auto& link : links_) link->push(AcceptDirectCommand{static_cast<bool>(acceptor_)});
}

std::vector<DirectAddress> ShardedHub::direct_addresses() const {
    std::vector<DirectAddress> all;
    if (!acceptor_) return all;
    for (const auto& link : links_) {
        all.insert(all.end(), link->direct_addresses.begin(), link->direct_addresses.end());
    }
    return all;
}

// ---- reports ----

void ShardedHub::refresh(std::function<void()> on_done) {
    awaiting_next_.push_back(std::move(on_done));
    if (reports_owed_ == 0) begin_report();
}

void ShardedHub::begin_report() {
    awaiting_report_ = std::exchange(awaiting_next_, {});
    reports_owed_ = links_.size();
    for (const auto& link : links_) link->push(ReportCommand{});
}

void ShardedHub::handle(std::size_t shard, ReportEvent& event) {
    report_.shards[shard].stats = event.stats;
    links_[shard]->candidates = std::move(event.candidates);
    // Before it may be dialed a shard names none.
    if (!event.direct_addresses.empty()) {
        links_[shard]->direct_addresses = std::move(event.direct_addresses);
    }
    if (--reports_owed_ == 0) finish_report();
}

void ShardedHub::finish_report() {
    report_.total = {};
    report_.candidates.clear();
    for (std::size_t i = 0; i < links_.size(); ++i) {
        add(report_.total, report_.shards[i].stats);
        const auto& candidates = links_[i]->candidates;
        report_.candidates.insert(report_.candidates.end(), candidates.begin(), candidates.end());
    }
    report_.total.buffered_bytes += send_budget_.used_bytes;
    for (const auto& done : std::exchange(awaiting_report_, {})) done();
    // One of them may have begun the next.
    if (reports_owed_ == 0 && !awaiting_next_.empty()) begin_report();
}

}  // namespace kollator::rtc::hub
