#include "rtc/hub/shard.h"

#include <utility>

#include "rtc/hub/shard_peer.h"

namespace kollator::rtc::hub {

namespace {

Error no_such_peer() {
    return make_error(ErrorCode::kNotFound, "no such peer");
}

Result<std::string> sdp_of(Result<Answer> answer) {
    if (!answer.ok()) return answer.error();
    return std::move(answer->sdp);
}

}  // namespace

Result<std::unique_ptr<Shard>> Shard::open(const Clock& clock, Random& random,
                                           const Certificate& certificate,
                                           const EndpointOptions& options, ConnectionCount& count,
                                           std::size_t unread_budget) {
    std::unique_ptr<Shard> shard(new Shard(count, unread_budget));
    auto endpoint = open_endpoint(shard->loop_, clock, random, certificate, options);
    if (!endpoint.ok()) return endpoint.error();
    shard->endpoint_ = std::move(*endpoint);
    return shard;
}

Shard::Shard(ConnectionCount& count, std::size_t unread_budget)
    : count_(count), unread_budget_bytes_(unread_budget) {}

Shard::~Shard() {
    if (thread_.joinable()) {
        loop_.post([this] {
            endpoint_.reset();
            loop_.stop();
        });
        thread_.join();
    }
    endpoint_.reset();
}

std::vector<DirectAddress> Shard::direct_addresses() {
    endpoint_->accept_direct([](PeerId) { return nullptr; });
    auto addresses = endpoint_->direct_addresses();
    endpoint_->accept_direct({});
    return addresses;
}

void Shard::start(Sink sink) {
    sink_ = std::move(sink);
    thread_ = std::thread([this] { loop_.run(); });
}

void Shard::post(std::vector<Command> commands) {
    // std::function wants copyable callables.
    auto batch = std::make_shared<std::vector<Command>>(std::move(commands));
    loop_.post([this, batch = std::move(batch)] {
        for (Command& command : *batch) {
            std::visit([this](auto& each) { run(each); }, command);
        }
    });
}

// ---- commands ----

void Shard::run(AcceptCommand& command) {
    std::unique_ptr<ShardPeer> made = make_peer(command.peer);
    ShardPeer& peer = *made;
    auto answer = endpoint_->accept(command.sdp, std::move(made));
    if (answer.ok()) peer.set_endpoint_id(answer->peer);
    push(ReplyEvent{command.peer, command.request, sdp_of(std::move(answer))});
}

void Shard::run(RenegotiateCommand& command) {
    const ShardPeer* const peer = find(command.peer);
    push(ReplyEvent{command.peer, command.request,
                    peer == nullptr
                        ? Result<std::string>(no_such_peer())
                        : sdp_of(endpoint_->renegotiate(peer->endpoint_id(), command.sdp))});
}

void Shard::run(RestartCommand& command) {
    const ShardPeer* const peer = find(command.peer);
    push(ReplyEvent{command.peer, command.request,
                    peer == nullptr ? Result<std::string>(no_such_peer())
                                    : endpoint_->restart_ice(peer->endpoint_id(), command.remote)});
}

void Shard::run(CandidatesCommand& command) {
    const ShardPeer* const peer = find(command.peer);
    Status status = peer == nullptr ? Status(no_such_peer()) : Status();
    for (const std::string& candidate : command.candidates) {
        if (!status.ok()) break;
        status = endpoint_->add_remote_candidate(peer->endpoint_id(), candidate);
    }
    push(ReplyEvent{
        command.peer, command.request,
        status.ok() ? Result<std::string>(std::string()) : Result<std::string>(status.error())});
}

void Shard::run(ClosePeerCommand& command) {
    if (const ShardPeer* const peer = find(command.peer)) {
        endpoint_->close(peer->endpoint_id(), command.reason);
    }
}

void Shard::run(SendCommand& command) {
    if (ShardPeer* const peer = find(command.peer)) {
        peer->send(command.channel, std::move(command.message));
    }
}

void Shard::run(CloseChannelCommand& command) {
    if (ShardPeer* const peer = find(command.peer)) peer->close_channel(command.channel);
}

void Shard::run(ConsumedCommand& command) {
    unread_bytes_ -= command.bytes;  // of peers that are gone, too
    if (ShardPeer* const peer = find(command.peer)) peer->consumed(command.bytes);
}

void Shard::run(AcceptDirectCommand& command) {
    if (!command.on) return endpoint_->accept_direct({});
    endpoint_->accept_direct([this](PeerId at_endpoint) { return accept_direct(at_endpoint); });
}

void Shard::run(ReportCommand&) {
    push(ReportEvent{endpoint_->stats(), endpoint_->local_candidates(),
                     endpoint_->direct_addresses()});
}

// ---- peers ----

ShardPeer* Shard::find(PeerId peer) {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? nullptr : found->second;
}

/// REQUIRES: counted already.
std::unique_ptr<ShardPeer> Shard::make_peer(PeerId peer) {
    auto made = std::make_unique<ShardPeer>(*this, peer);
    peers_.emplace(peer, made.get());
    return made;
}

void Shard::forget(PeerId peer) {
    peers_.erase(peer);
    count_.remove();
}

std::unique_ptr<PeerObserver> Shard::accept_direct(PeerId at_endpoint) {
    if (!count_.try_add()) return nullptr;
    const PeerId id = count_.new_id();
    std::unique_ptr<ShardPeer> peer = make_peer(id);
    peer->set_endpoint_id(at_endpoint);
    push(DialedEvent{id});
    return peer;
}

// ---- events ----

void Shard::push(Event event) {
    events_.push_back(std::move(event));
    if (std::exchange(flush_posted_, true)) return;
    loop_.post([this] { flush(); });
}

void Shard::has_credit(PeerId peer) {
    credited_.push_back(peer);
    if (std::exchange(flush_posted_, true)) return;
    loop_.post([this] { flush(); });
}

void Shard::flush() {
    flush_posted_ = false;
    for (const PeerId id : std::exchange(credited_, {})) {
        if (ShardPeer* const peer = find(id)) {
            events_.emplace_back(TakenEvent{id, peer->take_credit()});
        }
    }
    sink_(std::exchange(events_, {}));
}

}  // namespace kollator::rtc::hub
