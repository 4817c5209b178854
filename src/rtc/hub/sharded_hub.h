#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "loop/event_loop.h"
#include "rtc/hub/remote_peer.h"
#include "rtc/hub/shard.h"
#include "rtc/peer_hub.h"

namespace kollator::rtc::hub {

/// Several sockets, each a Shard with a thread of its own. A new connection goes to the shard that
/// has the fewest; its answer names that shard's port. Who dials directly chooses by the port.
class ShardedHub final : public PeerHub {
 public:
    /// Answers that shards owe. Each costs an offer's size at most; over it callers are told to
    /// come back.
    static constexpr std::size_t kMaxRequests = 4096;

    /// Begins the shards' threads. `max_send_bytes`: on the way to them, of all peers.
    ShardedHub(EventLoop& loop, std::unique_ptr<ConnectionCount> count,
               std::vector<std::unique_ptr<Shard>> shards, std::size_t max_send_bytes);
    ~ShardedHub() override;

    PeerId accept(std::string_view offer_sdp, std::unique_ptr<PeerObserver> observer,
                  OnAnswer on_done) override;
    void renegotiate(PeerId peer, std::string_view offer_sdp, OnAnswer on_done) override;
    void restart_ice(PeerId peer, const IceCredentials& remote, OnFragment on_done) override;
    void add_remote_candidates(PeerId peer, std::vector<std::string> candidates,
                               OnStatus on_done) override;
    void close(PeerId peer, const std::string& reason) override;
    void close_all(const std::string& reason) override;
    void accept_direct(Endpoint::DirectAcceptor acceptor) override;
    std::vector<DirectAddress> direct_addresses() const override;
    std::uint16_t port() const override { return report_.shards.front().port; }
    PeerCounts counts() const override { return counts_; }
    std::optional<Fingerprint> peer_fingerprint(PeerId peer) const override;
    void refresh(std::function<void()> on_done) override;
    const HubReport& report() const override { return report_; }

 private:
    using OnReply = std::function<void(Result<std::string>)>;

    /// The way to a shard: the commands of a turn go together.
    class Link final : public CommandSink {
     public:
        Link(EventLoop& loop, std::unique_ptr<Shard> shard);
        void push(Command command) override;

        std::size_t peers = 0;  ///< of ours that are there
        std::vector<std::string> candidates;
        std::vector<DirectAddress> direct_addresses;

     private:
        friend class ShardedHub;
        EventLoop& loop_;
        std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
        std::vector<Command> commands_;
        std::unique_ptr<Shard> shard_;
    };

    void handle_all(std::size_t shard, std::vector<Event>& events);
    void handle(std::size_t shard, ReplyEvent& event);
    void handle(std::size_t shard, DialedEvent& event);
    void handle(std::size_t shard, ChannelEvent& event);
    void handle(std::size_t shard, MessageEvent& event);
    void handle(std::size_t shard, ConnectedEvent& event);
    void handle(std::size_t shard, ClosedEvent& event);
    void handle(std::size_t shard, ReportEvent& event);
    template <typename OfPeer>
    void handle(std::size_t shard, OfPeer& event);

    RemotePeer* find(PeerId peer) const;
    void add_peer(PeerId id, std::size_t shard, std::unique_ptr<PeerObserver> observer);
    void remove_peer(PeerId id);
    std::size_t least_loaded() const;
    std::optional<RequestId> make_request(OnReply on_reply);
    void consume(std::size_t shard, PeerId peer, std::size_t bytes);
    void begin_report();
    void finish_report();

    EventLoop& loop_;
    const std::unique_ptr<ConnectionCount> count_;
    SendBudget send_budget_;
    Endpoint::DirectAcceptor acceptor_;
    std::unordered_map<RequestId, OnReply> requests_;
    RequestId last_request_ = 0;
    PeerCounts counts_;

    HubReport report_;
    std::size_t reports_owed_ = 0;
    std::vector<std::function<void()>> awaiting_report_;
    std::vector<std::function<void()>> awaiting_next_;  ///< who came while one was being made

    std::vector<std::unique_ptr<Link>> links_;
    std::unordered_map<PeerId, std::unique_ptr<RemotePeer>> peers_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kollator::rtc::hub
