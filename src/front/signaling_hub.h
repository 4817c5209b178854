#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "front/rate_limit.h"
#include "front/worker_pool.h"
#include "http/web_socket_peer.h"
#include "signaling/message.h"
#include "signaling/worker_token.h"

namespace kollator::front {

struct HubLimits {
    std::size_t max_members = 10'000;  ///< registered or not, workers included
    Duration register_timeout = std::chrono::seconds(10);
    // A client introduces itself to a few workers: an offer and some candidates each.
    double client_messages_per_s = 50;
    double client_message_burst = 200;
    double client_bytes_per_s = 128 * 1024;
    double client_byte_burst = 1024 * 1024;
    // A worker answers all of its clients.
    double worker_messages_per_s = 5000;
    double worker_message_burst = 20'000;
    double worker_bytes_per_s = 16 * 1024 * 1024;
    double worker_byte_burst = 64 * 1024 * 1024;
    std::size_t max_bad_messages = 16;  ///< of one member, then it is closed
};

/// The relay between workers and clients (protocol.md, 1.2): who is there, and which message goes
/// to whom. Loop thread only. Knows WebSockets only as peers, so that it runs without a socket.
class SignalingHub {
 public:
    /// `clock`, `random` and `pool` outlive the hub; the hub outlives its members' connections, or
    /// is destroyed in the same turn of the loop as their server.
    SignalingHub(const Clock& clock, Random& random, WorkerPool& pool, Bytes shared_key,
                 HubLimits limits);
    ~SignalingHub();
    SignalingHub(const SignalingHub&) = delete;
    SignalingHub& operator=(const SignalingHub&) = delete;

    /// A new connection. Null where there are too many.
    std::unique_ptr<http::WebSocketObserver> join(std::shared_ptr<http::WebSocketPeer> peer);

    /// Closes those who have not registered in time. To be called about once a second.
    void sweep();

    std::size_t members() const { return members_.size(); }
    std::size_t clients() const;
    std::uint64_t relayed() const { return relayed_; }

 private:
    struct Member;
    class Observer;
    enum class Role { kNone, kClient, kWorker };

    void on_text(Member& member, std::string_view text);
    void on_close(Member& member);
    bool within_limits(Member& member, std::size_t size_bytes);
    void handle(Member& member, signaling::Message message);
    void register_worker(Member& member, const signaling::RegisterWorker& request);
    void register_client(Member& member, const signaling::RegisterClient& request);
    void relay(Member& member, signaling::Signal signal);
    void on_status(Member& member, const signaling::WorkerStatus& status);
    void bad_message(Member& member, const std::string& why);
    void refuse(Member& member, const std::string& code, const std::string& why);
    std::string new_client_id();

    const Clock& clock_;
    Random& random_;
    WorkerPool& pool_;
    signaling::WorkerTokenVerifier verifier_;
    const HubLimits limits_;

    std::unordered_set<Member*> members_;
    std::unordered_map<std::string, Member*, KeyedHash> by_id_;  ///< the registered
    std::uint64_t relayed_ = 0;
};

}  // namespace kollator::front
