#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "dht/query_queue.h"

namespace kollator::dht {

/// The nodes nearest to a key that answer are where its records are (Kademlia's k).
inline constexpr std::size_t kClosest = 8;

struct LookupOptions {
    Priority priority = Priority::kInteractive;
    std::size_t parallel = 4;  ///< queries under way at once
    /// A query this old makes room for another one, but its answer still counts. Half of the
    /// network answers within 0.1 s; a fifth of it never does.
    Duration stall = std::chrono::milliseconds(300);
    /// A query this old is not waited for where all others are done.
    Duration patience = std::chrono::seconds(1);
    std::size_t max_queries = 64;
    std::size_t max_candidates = 64;
    std::size_t max_peers = 256;
    /// Where too few of those that were named live: so many times somebody is asked for nodes a
    /// little further from the key. All neighbours name the same 8, the dead among them.
    std::size_t max_widenings = 0;
    /// Not asked when somebody names them: the announcer knows them to be dead.
    std::function<bool(const Endpoint&)> skip;
};

/// A node that answered, and what it wants to hear with an announcement.
struct Responder {
    Contact contact;
    std::string token;
};

struct LookupOutcome {
    std::vector<Responder> closest;  ///< that answered, the nearest first, at most kClosest
    std::vector<Endpoint> dead;      ///< that did not, as near as those; at most kClosest
    std::vector<Endpoint> peers;     ///< each once
    std::size_t queries = 0;
    std::size_t answers = 0;
};

/// One iterative get_peers (BEP 5) in one address family: from the nearest nodes known towards the
/// key, until the kClosest nearest that live have answered. Sans-IO; one thread. Destroying it ends
/// it without a callback.
class Lookup {
 public:
    /// Peers that are new, each time some come; may run many times before `on_done`.
    using OnPeers = std::function<void(TimePoint now, const std::vector<Endpoint>& peers)>;
    /// Once, from start(), advance() or an answer; may destroy the lookup.
    using OnDone = std::function<void(TimePoint now, LookupOutcome outcome)>;

    /// `queue` outlives it.
    Lookup(QueryQueue& queue, const InfoHash& target, bool v6, LookupOptions options,
           OnPeers on_peers, OnDone on_done);
    ~Lookup();
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    /// Once. Contacts of the routing table.
    void start(TimePoint now, const std::vector<Contact>& seeds);
    /// Once, instead: nodes that were near the key when they were asked last; all are asked at
    /// once.
    void start_at(TimePoint now, const std::vector<Endpoint>& remembered);
    void advance(TimePoint now);
    TimePoint next_due() const;

 private:
    enum class State : std::uint8_t { kNew, kAsked, kStalled, kGivenUp, kAnswered, kFailed };
    struct Candidate {
        Contact contact;
        Distance distance{};
        bool id_known = true;
        State state = State::kNew;
        TimePoint asked_at{};
        std::string token{};
    };

    void add(const Contact& contact);
    void ask(TimePoint now, Candidate& candidate);
    void ask_next(TimePoint now);
    void on_reply(TimePoint now, const Endpoint& from, Result<Reply> reply);
    bool widen(TimePoint now);
    void take_peers(TimePoint now, const std::vector<Endpoint>& peers);
    void place(Candidate candidate);
    bool finished() const;
    void finish(TimePoint now);

    // injected
    QueryQueue& queue_;
    const InfoHash target_;
    const bool v6_;
    const LookupOptions options_;
    const OnPeers on_peers_;
    const OnDone on_done_;

    // state
    std::vector<Candidate> candidates_;  // the nearest first; those of unknown id before all
    std::vector<Endpoint> peers_;
    std::size_t queries_ = 0;
    std::size_t answers_ = 0;
    std::size_t widenings_ = 0;
    bool widening_ = false;  // an answer to one is waited for
    bool done_ = false;
    const std::shared_ptr<Lookup*> alive_;
};

}  // namespace kollator::dht
