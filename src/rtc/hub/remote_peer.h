#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rtc/endpoint.h"
#include "rtc/hub/shard_messages.h"

namespace kollator::rtc::hub {

/// Takes the commands for one shard.
class CommandSink {
 public:
    virtual ~CommandSink() = default;
    virtual void push(Command command) = 0;
};

/// What all connections of a hub have on the way to their shards.
struct SendBudget {
    std::size_t limit_bytes = 0;
    std::size_t used_bytes = 0;
};

class RemoteChannel;

/// One connection on the hub's loop: stands for it towards its observer, while a shard has it.
///
/// What is sent is queued for the shard within a window, and credited when SCTP has taken it; with
/// the window full send() gives kLimit, and on_writable follows when half of it is free.
class RemotePeer {
 public:
    /// Holds the largest message twice, so that one is on its way while SCTP takes the other.
    static constexpr std::size_t kWindowBytes = 512 * 1024;

    /// What is referred to outlives the peer.
    RemotePeer(PeerId id, std::size_t shard, CommandSink& commands, SendBudget& budget,
               std::unique_ptr<PeerObserver> observer);
    ~RemotePeer();
    RemotePeer(const RemotePeer&) = delete;
    RemotePeer& operator=(const RemotePeer&) = delete;

    PeerId id() const { return id_; }
    std::size_t shard() const { return shard_; }
    bool connected() const { return connected_; }
    const std::optional<std::array<std::uint8_t, 32>>& fingerprint() const { return fingerprint_; }

    void handle(ConnectedEvent& event);
    void handle(CandidateEvent& event) { observer_->on_local_candidate(event.candidate); }
    void handle(ChannelEvent& event);
    void handle(MessageEvent& event);
    void handle(TakenEvent& event);
    void handle(ChannelClosedEvent& event);
    void handle(ClosedEvent& event) { observer_->on_closed(event.reason); }

    // For RemoteChannel.
    bool has_room(std::size_t cost) const;
    std::size_t in_flight_bytes() const { return in_flight_bytes_; }
    void send(ChannelId channel, MessageBlock message);
    void push(Command command) { commands_.push(std::move(command)); }

 private:
    const PeerId id_;
    const std::size_t shard_;
    CommandSink& commands_;
    SendBudget& budget_;
    const std::unique_ptr<PeerObserver> observer_;

    bool connected_ = false;
    std::optional<std::array<std::uint8_t, 32>> fingerprint_;
    std::size_t in_flight_bytes_ = 0;
    std::map<ChannelId, std::unique_ptr<RemoteChannel>> channels_;
    ChannelId next_writable_ = 0;  ///< where on_writable begins, so that all get their turn
};

}  // namespace kollator::rtc::hub
