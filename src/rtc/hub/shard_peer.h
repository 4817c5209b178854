#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "rtc/endpoint.h"
#include "rtc/hub/shard_messages.h"

namespace kollator::rtc::hub {

class Shard;
class ShardChannel;

/// One connection on its shard's thread: what it hears becomes events, what commands say is done.
/// The endpoint owns it.
class ShardPeer final : public PeerObserver {
 public:
    /// Of messages that the hub's side has not read: with what a receive window holds, enough for
    /// a turn of that loop to take 10 ms at 800 Mbit/s.
    static constexpr std::size_t kMaxUnreadBytes = 1024 * 1024;

    ShardPeer(Shard& shard, PeerId id) : shard_(shard), id_(id) {}
    ~ShardPeer() override;
    ShardPeer(const ShardPeer&) = delete;
    ShardPeer& operator=(const ShardPeer&) = delete;

    /// Before the loop runs again after the endpoint gave its id.
    void set_endpoint_id(PeerId id) { endpoint_id_ = id; }
    PeerId endpoint_id() const { return endpoint_id_; }

    void send(ChannelId channel, MessageBlock message);
    /// After what was to be sent before.
    void close_channel(ChannelId channel);
    void consumed(std::size_t bytes);
    /// What SCTP has taken since the last call.
    std::size_t take_credit();

    // For ShardChannel.
    void on_message(ChannelId channel, ByteSpan message, bool binary);
    void on_writable();
    void on_channel_closed(ChannelId channel);

    void on_connected() override;
    void on_local_candidate(const std::string& candidate) override;
    std::unique_ptr<DataChannelObserver> on_channel(DataChannel& channel) override;
    void on_closed(const std::string& reason) override;

 private:
    struct Close {};
    struct Outgoing {
        ChannelId channel;
        std::variant<MessageBlock, Close> what;
    };

    void drain();
    bool drain_one();
    void add_unread(std::size_t bytes);

    Shard& shard_;
    const PeerId id_;
    PeerId endpoint_id_ = 0;
    std::map<ChannelId, DataChannel*> channels_;
    ChannelId last_channel_ = 0;
    std::deque<Outgoing> outbox_;  ///< bounded by RemotePeer's window
    bool blocked_ = false;         ///< SCTP had no room; on_writable follows
    bool reading_ = true;
    std::size_t unread_bytes_ = 0;
    std::size_t credit_bytes_ = 0;
};

}  // namespace kollator::rtc::hub
