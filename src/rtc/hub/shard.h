#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "loop/event_loop.h"
#include "rtc/endpoint.h"
#include "rtc/hub/shard_messages.h"

namespace kollator::rtc::hub {

class ShardPeer;

/// What all shards of a hub count together. Thread-safe.
class ConnectionCount {
 public:
    explicit ConnectionCount(std::size_t most) : most_(most) {}

    PeerId new_id() { return ++last_id_; }
    /// False where there are enough already.
    bool try_add() {
        if (connections_.fetch_add(1) < most_) return true;
        remove();
        return false;
    }
    void remove() { connections_.fetch_sub(1); }

 private:
    const std::size_t most_;
    std::atomic<std::size_t> connections_{0};
    std::atomic<PeerId> last_id_{0};
};

/// One socket of a hub, and the thread that serves it: ICE, DTLS, SCTP and the data channels of its
/// connections. Does what commands say, and tells events, in batches: a turn's events together.
///
/// What waits is bounded: to be sent, by the hub's side (RemotePeer); what the hub's side has not
/// read, here: a peer is read from no more while its messages there are over kMaxUnreadBytes, or
/// those of all peers over the shard's part of the budget.
class Shard {
 public:
    /// Gets the events; runs on the shard's thread.
    using Sink = std::function<void(std::vector<Event>)>;

    /// Opens the socket; see open_endpoint(). What is referred to outlives the shard.
    static Result<std::unique_ptr<Shard>> open(const Clock& clock, Random& random,
                                               const Certificate& certificate,
                                               const EndpointOptions& options,
                                               ConnectionCount& count, std::size_t unread_budget);
    /// Ends the thread, if there is one, and every connection: the peers are told, nobody else is.
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    // Before start().
    std::uint16_t port() const { return endpoint_->port(); }
    std::vector<std::string> candidates() const { return endpoint_->local_candidates(); }
    std::vector<DirectAddress> direct_addresses();
    /// Begins the thread.
    void start(Sink sink);

    /// Thread-safe.
    void post(std::vector<Command> commands);

    // For ShardPeer, on the shard's thread.
    Endpoint& endpoint() { return *endpoint_; }
    void push(Event event);
    /// take_credit() is to be asked for when the events go.
    void has_credit(PeerId peer);
    void add_unread(std::size_t bytes) { unread_bytes_ += bytes; }
    bool over_unread_budget() const { return unread_bytes_ > unread_budget_bytes_; }
    void forget(PeerId peer);

 private:
    Shard(ConnectionCount& count, std::size_t unread_budget);

    void run(AcceptCommand& command);
    void run(RenegotiateCommand& command);
    void run(RestartCommand& command);
    void run(CandidatesCommand& command);
    void run(ClosePeerCommand& command);
    void run(SendCommand& command);
    void run(CloseChannelCommand& command);
    void run(ConsumedCommand& command);
    void run(AcceptDirectCommand& command);
    void run(ReportCommand& command);

    ShardPeer* find(PeerId peer);
    std::unique_ptr<ShardPeer> make_peer(PeerId peer);
    std::unique_ptr<PeerObserver> accept_direct(PeerId at_endpoint);
    void flush();

    ConnectionCount& count_;
    const std::size_t unread_budget_bytes_;
    Sink sink_;

    EventLoop loop_;
    std::unordered_map<PeerId, ShardPeer*> peers_;  ///< the endpoint owns them
    std::vector<Event> events_;                     ///< of this turn
    std::vector<PeerId> credited_;
    bool flush_posted_ = false;
    std::size_t unread_bytes_ = 0;
    std::unique_ptr<Endpoint> endpoint_;
    std::thread thread_;
};

}  // namespace kollator::rtc::hub
