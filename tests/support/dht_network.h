#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <vector>

#include "dht/query_queue.h"

namespace kollator::testing {

/// A model of the Mainline DHT in virtual time: nodes with random ids, of which a share is dead at
/// any moment and comes and goes; each knows 8 nodes of every bucket, and all of its neighbours,
/// the dead ones among them. Nothing is stored: what a node answers is computed when it is asked,
/// so that a million of them take 8 MB.
class DhtNetwork final : public dht::Wire {
 public:
    struct Options {
        std::size_t nodes = 1'000'000;
        double dead = 0.2;
        /// Each node draws anew, once in this time, whether it lives: so many go, and come back.
        Duration session = std::chrono::hours(1);
        double rtt_median_s = 0.1;
        double rtt_sigma = 0.5;  ///< of its logarithm: 2.3 times the median at the 95th percentile
        double loss = 0.01;      ///< of queries or their answers
        std::uint64_t seed = 1;
    };

    explicit DhtNetwork(Options options);

    /// Where answers go: QueryQueue::on_reply().
    using OnReply = std::function<void(TimePoint, std::uint64_t ticket, Result<dht::Reply>)>;
    void set_on_reply(OnReply on_reply) { on_reply_ = std::move(on_reply); }

    void send(const dht::Endpoint& to, const dht::Query& query, std::uint64_t ticket) override;

    TimePoint now() const { return now_; }
    /// The time of the next answer under way; max() where there is none.
    TimePoint next() const { return events_.empty() ? TimePoint::max() : events_.top().at; }
    /// Goes to `now`, and gives out the answers that have come by then.
    void advance(TimePoint now);

    /// As a routing table would have them, of `count` nodes about.
    std::vector<dht::Contact> contacts(const dht::NodeId& own, std::size_t count) const;
    /// The nearest that live now, the truth.
    std::vector<dht::Contact> nearest_living(const InfoHash& key, std::size_t count) const;
    /// Of the 8 nearest that live, how many have a record of the key that is not older than half an
    /// hour: what a stranger's look-up could find. Only of keys that were watched from the start.
    std::size_t records_near(const InfoHash& key) const;
    void watch(const InfoHash& key) { watched_.insert(key); }
    /// Somebody else has announced it: the 8 nearest that live tell of peer().
    void place(const InfoHash& key);
    static dht::Endpoint peer() { return *dht::Endpoint::from_text("45.0.0.1", 8081); }
    /// Kills `share` of those that live, for good.
    void kill(double share);

    std::uint64_t messages = 0;   ///< from us
    std::uint64_t bytes_out = 0;  ///< from us, with UDP and IPv4 headers
    std::uint64_t bytes_in = 0;

 private:
    struct Event {
        TimePoint at;
        std::uint64_t ticket;
        std::uint32_t node;
        dht::QueryKind kind;
        std::uint64_t key_head;
        InfoHash key;
        bool operator>(const Event& other) const { return at > other.at; }
    };
    struct Range {
        std::size_t first;
        std::size_t end;
        std::size_t size() const { return end - first; }
    };

    std::uint64_t mix(std::uint64_t a, std::uint64_t b) const;
    bool lives(std::size_t node, TimePoint at) const;
    dht::NodeId id_of(std::size_t node) const;
    dht::Contact contact_of(std::size_t node) const;
    Duration rtt_of(std::size_t node) const;
    Range range_of(std::uint64_t head, unsigned bits) const;
    void add_known(std::size_t asked, Range range, std::uint64_t head,
                   std::vector<std::size_t>& out) const;
    std::vector<std::size_t> known_to(std::size_t asked, std::uint64_t head) const;
    bool has_record(std::uint32_t node, const InfoHash& key) const;

    const Options options_;
    std::vector<std::uint64_t> heads_;  // the first 64 bits of the ids, ascending
    std::vector<bool> killed_;
    OnReply on_reply_;
    TimePoint now_{std::chrono::hours(100)};
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::set<InfoHash> watched_;
    std::map<std::pair<std::uint32_t, InfoHash>, TimePoint> records_;
};

}  // namespace kollator::testing
