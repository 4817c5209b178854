#include "rtc/hub/shard_peer.h"

#include <utility>

#include "rtc/hub/shard.h"

namespace kollator::rtc::hub {

class ShardChannel final : public DataChannelObserver {
 public:
    ShardChannel(ShardPeer& peer, ChannelId id) : peer_(peer), id_(id) {}

    void on_message(ByteSpan message, bool binary) override {
        peer_.on_message(id_, message, binary);
    }
    void on_writable() override { peer_.on_writable(); }
    void on_close() override { peer_.on_channel_closed(id_); }

 private:
    ShardPeer& peer_;
    const ChannelId id_;
};

ShardPeer::~ShardPeer() {
    shard_.forget(id_);
}

// ---- to the peer ----

void ShardPeer::send(ChannelId channel, MessageBlock message) {
    outbox_.push_back({channel, std::move(message)});
    drain();
}

void ShardPeer::close_channel(ChannelId channel) {
    outbox_.push_back({channel, Close{}});
    drain();
}

void ShardPeer::drain() {
    while (!blocked_ && !outbox_.empty() && drain_one()) outbox_.pop_front();
}

/// False where SCTP has no room for the first that waits.
bool ShardPeer::drain_one() {
    Outgoing& next = outbox_.front();
    const auto found = channels_.find(next.channel);
    auto* const message = std::get_if<MessageBlock>(&next.what);
    if (message == nullptr) {
        if (found != channels_.end()) found->second->close();
        return true;
    }
    const std::size_t cost = cost_of(*message);
    if (found != channels_.end()) {
        const Status sent = found->second->give(*message);
        // Any other error: the channel is closing, and what is sent on it is lost.
        blocked_ = !sent.ok() && sent.error().code == ErrorCode::kLimit;
        if (blocked_) return false;
    }
    if (credit_bytes_ == 0) shard_.has_credit(id_);
    credit_bytes_ += cost;
    return true;
}

std::size_t ShardPeer::take_credit() {
    return std::exchange(credit_bytes_, 0);
}

void ShardPeer::on_writable() {
    blocked_ = false;
    drain();
}

// ---- from the peer ----

void ShardPeer::on_connected() {
    shard_.push(ConnectedEvent{id_, shard_.endpoint().peer_fingerprint(endpoint_id_)});
}

void ShardPeer::on_local_candidate(const std::string& candidate) {
    shard_.push(CandidateEvent{id_, candidate});
}

std::unique_ptr<DataChannelObserver> ShardPeer::on_channel(DataChannel& channel) {
    const ChannelId id = ++last_channel_;
    channels_.emplace(id, &channel);
    ChannelEvent event{id_,
                       id,
                       std::string(channel.label()),
                       std::string(channel.protocol()),
                       channel.ordered(),
                       channel.stream_id(),
                       channel.max_message_bytes()};
    add_unread(event.cost());
    shard_.push(std::move(event));
    return std::make_unique<ShardChannel>(*this, id);
}

void ShardPeer::on_message(ChannelId channel, ByteSpan message, bool binary) {
    MessageEvent event{id_, channel, make_message_block(message, {}), binary};
    add_unread(cost_of(event.message));
    shard_.push(std::move(event));
}

void ShardPeer::on_channel_closed(ChannelId channel) {
    channels_.erase(channel);
    shard_.push(ChannelClosedEvent{id_, channel});
    // It may have been the one that was waited for.
    blocked_ = false;
    drain();
}

void ShardPeer::on_closed(const std::string& reason) {
    shard_.push(ClosedEvent{id_, reason});
}

void ShardPeer::add_unread(std::size_t bytes) {
    unread_bytes_ += bytes;
    shard_.add_unread(bytes);
    if (!reading_ || (unread_bytes_ <= kMaxUnreadBytes && !shard_.over_unread_budget())) return;
    reading_ = false;
    shard_.endpoint().set_reading(endpoint_id_, false);
}

void ShardPeer::consumed(std::size_t bytes) {
    unread_bytes_ -= bytes;
    if (reading_) return;
    // Over the budget everybody who was stopped still gets one turn's messages at a time.
    const bool room = unread_bytes_ <= kMaxUnreadBytes / 2 && !shard_.over_unread_budget();
    if (!room && unread_bytes_ > 0) return;
    reading_ = true;
    shard_.endpoint().set_reading(endpoint_id_, true);
}

}  // namespace kollator::rtc::hub
