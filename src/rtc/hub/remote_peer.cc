#include "rtc/hub/remote_peer.h"

#include <algorithm>
#include <utility>

namespace kollator::rtc::hub {

/// Valid until on_close returned, like every DataChannel.
class RemoteChannel final : public DataChannel {
 public:
    RemoteChannel(RemotePeer& peer, ChannelEvent about) : peer_(peer), about_(std::move(about)) {}

    std::string_view label() const override { return about_.label; }
    std::string_view protocol() const override { return about_.protocol; }
    bool ordered() const override { return about_.ordered; }
    std::uint16_t stream_id() const override { return about_.stream; }
    std::size_t max_message_bytes() const override { return about_.max_message_bytes; }

    Status send(ByteSpan head, ByteSpan body) override {
        if (Status good = admit(head.size() + body.size()); !good.ok()) return good;
        peer_.send(about_.channel, make_message_block(head, body));
        return {};
    }
    Status give(MessageBlock& message) override {
        if (Status good = admit(message.size_bytes()); !good.ok()) return good;
        peer_.send(about_.channel, std::move(message));
        return {};
    }
    std::size_t buffered_bytes() const override { return peer_.in_flight_bytes(); }
    std::size_t writable_bytes() const override {
        if (closing_ || !peer_.has_room(kMessageOverheadBytes)) return 0;
        const std::size_t used = peer_.in_flight_bytes() + kMessageOverheadBytes;
        return RemotePeer::kWindowBytes - std::min(used, RemotePeer::kWindowBytes);
    }
    void close() override {
        if (std::exchange(closing_, true)) return;
        peer_.push(CloseChannelCommand{about_.peer, about_.channel});
    }

    /// Null: refused.
    void set_observer(std::unique_ptr<DataChannelObserver> observer) {
        observer_ = std::move(observer);
        if (!observer_) close();
    }
    void on_message(ByteSpan message, bool binary) {
        if (!closing_) observer_->on_message(message, binary);
    }
    void on_writable() {
        if (std::exchange(wants_writable_, false) && !closing_) observer_->on_writable();
    }
    void on_close() {
        closing_ = true;
        if (observer_) observer_->on_close();
    }

 private:
    /// Whether a message of that size may go to the shard now.
    Status admit(std::size_t size) {
        if (closing_) return make_error(ErrorCode::kCancelled, "channel: closing or closed");
        if (size > about_.max_message_bytes) {
            return make_error(ErrorCode::kInvalid,
                              "channel: the message is larger than the peer takes");
        }
        if (!peer_.has_room(size + kMessageOverheadBytes)) {
            wants_writable_ = true;
            return make_error(ErrorCode::kLimit, "channel: too much is on its way to the shard");
        }
        return {};
    }

    RemotePeer& peer_;
    const ChannelEvent about_;
    bool closing_ = false;
    bool wants_writable_ = false;  ///< send() gave kLimit
    std::unique_ptr<DataChannelObserver> observer_;
};

RemotePeer::RemotePeer(PeerId id, std::size_t shard, CommandSink& commands, SendBudget& budget,
                       std::unique_ptr<PeerObserver> observer)
    : id_(id),
      shard_(shard),
      commands_(commands),
      budget_(budget),
      observer_(std::move(observer)) {}

RemotePeer::~RemotePeer() {
    budget_.used_bytes -= in_flight_bytes_;
}

// ---- to the shard ----

bool RemotePeer::has_room(std::size_t cost) const {
    // Who has something on the way is told when it was taken; who has nothing is let through.
    if (in_flight_bytes_ == 0) return true;
    return in_flight_bytes_ + cost <= kWindowBytes &&
           budget_.used_bytes + cost <= budget_.limit_bytes;
}

void RemotePeer::send(ChannelId channel, MessageBlock message) {
    in_flight_bytes_ += cost_of(message);
    budget_.used_bytes += cost_of(message);
    commands_.push(SendCommand{id_, channel, std::move(message)});
}

void RemotePeer::handle(TakenEvent& event) {
    in_flight_bytes_ -= event.bytes;
    budget_.used_bytes -= event.bytes;
    if (in_flight_bytes_ > kWindowBytes / 2 || !has_room(0)) return;
    // Observers close channels, but none goes before its ChannelClosedEvent.
    const auto begin = channels_.lower_bound(++next_writable_);
    if (begin == channels_.end()) next_writable_ = 0;
    for (auto each = begin; each != channels_.end(); ++each) each->second->on_writable();
    for (auto each = channels_.begin(); each != begin; ++each) each->second->on_writable();
}

// ---- from the shard ----

void RemotePeer::handle(ConnectedEvent& event) {
    connected_ = true;
    fingerprint_ = event.fingerprint;
    observer_->on_connected();
}

void RemotePeer::handle(ChannelEvent& event) {
    const ChannelId id = event.channel;
    auto& channel = channels_[id];
    channel = std::make_unique<RemoteChannel>(*this, std::move(event));
    channel->set_observer(observer_->on_channel(*channel));
}

void RemotePeer::handle(MessageEvent& event) {
    const auto found = channels_.find(event.channel);
    if (found != channels_.end()) found->second->on_message(event.message.body(), event.binary);
}

void RemotePeer::handle(ChannelClosedEvent& event) {
    const auto found = channels_.find(event.channel);
    if (found == channels_.end()) return;
    const std::unique_ptr<RemoteChannel> channel = std::move(found->second);
    channels_.erase(found);
    channel->on_close();
}

}  // namespace kollator::rtc::hub
