#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/authenticator.h"
#include "cluster/chunk_request.h"
#include "cluster/chunk_source.h"
#include "cluster/patience.h"
#include "loop/event_loop.h"
#include "peer/dialer.h"
#include "rtc/endpoint.h"
#include "signaling/back_off.h"

namespace kollator::cluster {

struct LinkCounts {
    std::uint64_t connected = 0;  ///< times that it was up
    std::uint64_t asked = 0;
    std::uint64_t got = 0;  ///< chunks
    std::uint64_t received_bytes = 0;
    std::uint64_t not_found = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t failures = 0;  ///< lost connections, refusals
    std::uint64_t corrupt = 0;
};

/// What the links of a worker share; outlives them.
struct LinkContext {
    EventLoop& loop;
    const Clock& clock;
    Random& random;
    rtc::Endpoint& endpoint;
    peer::Dialer& dialer;
    Authenticator& authenticator;
    const Fingerprint own_fingerprint;
    const protocol::Hello hello;  ///< ours
    const Duration wait;          ///< for a chunk
    /// Told of everything that a link counts.
    const std::function<void(std::uint64_t LinkCounts::*count, std::uint64_t amount)> tally;
};

/// Chunks asked for at once on a link: under the 1,024 requests that a worker serves of a fellow.
inline constexpr std::size_t kMaxLinkRequests = 1000;

//        +--- back-off <------------------------------------------+
//        v                                                        |
//     kDown --> kConnecting --(HELLO)--> kProving --(AUTH)--> kUp-+
//        ^            |                      |
//        +------------+----------------------+
enum class LinkState : std::uint8_t { kDown, kConnecting, kProving, kUp };

/// "down", "connecting", "proving", "up".
std::string_view to_string(LinkState state);

/// The tie to one fellow, kept for as long as it lives: dials, proves and has proved who it is,
/// asks for chunks, notices the end, and dials anew. We ask over it; what the fellow asks of us
/// comes over its own. Loop thread only.
class FellowLink {
 public:
    struct Hooks {
        /// A fellow has proved itself: an error where it is not wanted (it is linked already).
        std::function<Status(const std::string& fellow_id)> admit;
        std::function<void()> changed;  ///< up, or up no more
    };

    /// Begins at once. `context` outlives it.
    FellowLink(const LinkContext& context, peer::Route route, Hooks hooks);
    /// Its requests end with kUnavailable.
    ~FellowLink();
    FellowLink(const FellowLink&) = delete;
    FellowLink& operator=(const FellowLink&) = delete;

    LinkState state() const { return state_; }
    bool up() const { return state_ == LinkState::kUp; }
    /// Up, and it has answered lately what it was asked.
    bool usable() const { return up() && patience_.usable(context_.clock.now()); }
    /// Whom it leads to: proved while it is up; else who was there last, or is expected.
    const std::string& fellow_id() const { return fellow_id_; }
    const peer::Route& route() const { return route_; }
    /// Where the fellow is reached, when it is dialed next.
    void set_route(peer::Route route) { route_ = std::move(route); }
    /// It leads to ourselves, or to one who is linked already: tried again seldom.
    bool unwanted() const { return unwanted_; }
    /// Why it is not up; or what went wrong last. Empty: nothing.
    const std::string& last_error() const { return last_error_; }
    const LinkCounts& counts() const { return counts_; }

    /// Null where too many requests are under way. REQUIRES: up().
    std::unique_ptr<ChunkSource::Request> fetch(const ChunkId& id,
                                                const ChunkSource::Options& options,
                                                ChunkSource::OnProgress on_progress,
                                                ChunkSource::OnDone on_done);
    void was_corrupt();
    /// Dials at once where it waits.
    void try_now();

 private:
    void dial();
    void on_connected(Result<std::unique_ptr<peer::Connection>> connection);
    void prove();
    void on_proof(const protocol::Auth& own, const LinkFingerprints& ends,
                  const Result<Bytes>& answer);
    Status take_proof(const protocol::Auth& own, const LinkFingerprints& ends,
                      const Result<Bytes>& answer);
    void schedule_ping();
    void ping();
    void on_request_end(ChunkRequest& request, const Result<SharedBuffer>* result);
    void fall(const std::string& why, bool soon);
    void note_timeout();
    void rest_unwanted(const std::string& why);
    void count(std::uint64_t LinkCounts::*which, std::uint64_t amount = 1);

    // injected
    const LinkContext& context_;
    peer::Route route_;
    const Hooks hooks_;

    // state
    LinkState state_ = LinkState::kDown;
    std::string fellow_id_;
    std::string last_error_;
    LinkCounts counts_;
    bool unwanted_ = false;
    Patience patience_;
    TimePoint heard_{};      // bytes of a chunk
    TimePoint timed_out_{};  // counted last
    std::set<ChunkRequest*> requests_;

    // owned
    signaling::BackOff back_off_;
    Timer timer_;  // of the back-off, or of the next ping
    std::unique_ptr<peer::Connection> connection_;
    std::vector<std::unique_ptr<peer::Connection>> spent_;  // until the loop's next turn
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cluster
