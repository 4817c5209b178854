#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/lookup.h"
#include "dht/query_queue.h"

namespace kollator::dht {

struct NodeHealthOptions {
    Duration ping_interval = std::chrono::seconds(15);
    std::size_t pings_at_once = 8;
    std::size_t max_contacts = 2048;
    /// Without an answer for so long the network is lost.
    Duration lost_after = std::chrono::minutes(5);
    /// A node that knows nobody tries to join again so often: its bootstrap nodes may have begun
    /// after it.
    Duration join_after = std::chrono::seconds(30);
};

struct NodeHealthReport {
    std::size_t contacts = 0;  ///< of our routing tables
    std::size_t good = 0;      ///< answered our last ping
    std::size_t stale = 0;     ///< did not
    double network_size = 0;   ///< nodes; 0: not known yet
    std::optional<Duration> rtt_median;
    std::optional<Duration> rtt_p99;
    Duration silence{};  ///< since anybody answered (or the start)
    bool lost = false;
};

/// How the node stands in the network: pings the contacts of the routing table in turn, and counts
/// how near to a key its nearest nodes are. Sans-IO; one thread.
class NodeHealth {
 public:
    NodeHealth(TimePoint now, QueryQueue& queue, NodeHealthOptions options = {});

    /// What the routing table holds now; in place of what it held.
    void set_contacts(const std::vector<Contact>& contacts);
    const std::vector<Contact>& contacts() const { return contacts_; }
    /// The contacts nearest to a key, at most kClosest.
    std::vector<Contact> nearest(const InfoHash& key, bool v6) const;

    void on_lookup(const InfoHash& target, const LookupOutcome& outcome);
    void advance(TimePoint now);
    TimePoint next_due() const { return next_ping_; }
    NodeHealthReport report(TimePoint now) const;

    /// True once, lost_after the last answer or the last time it was true; without contacts
    /// join_after.
    bool take_lost(TimePoint now);

 private:
    enum class Seen : std::uint8_t { kUnknown, kGood, kStale };

    void note_answers(TimePoint now);
    void on_pong(TimePoint now, TimePoint asked, const Endpoint& from, bool answered);

    QueryQueue& queue_;
    const NodeHealthOptions options_;
    std::vector<Contact> contacts_;
    std::map<Endpoint, Seen> seen_;  // of contacts_
    std::size_t next_contact_ = 0;
    TimePoint next_ping_;
    std::deque<double> sizes_;   // estimates, the latest last
    std::deque<Duration> rtts_;  // of pings, the latest last
    std::uint64_t answers_ = 0;  // of the queue, when it was looked at last
    TimePoint heard_;
    TimePoint lost_since_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::dht
