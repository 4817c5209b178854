#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "dht/wire.h"

namespace kollator::dht {

/// Who goes first. A client waits for the first; the others are the announcer's.
enum class Priority : std::uint8_t { kInteractive, kUrgent, kRoutine };
inline constexpr std::size_t kPriorities = 3;

struct QueryLimits {
    /// The announcer's packets a second; what is interactive goes even when they are used up.
    unsigned packets_per_second = 2000;
    /// libtorrent bans an address for 5 minutes after 50 messages in 10 s, answers counted: a burst
    /// of 4 and 4 a second are 44 at most.
    unsigned address_per_second = 4;
    /// One address is one node there: in a swarm on one machine.
    bool count_ports = false;
    /// No answer counts as one after so long. A libtorrent query would wait for 15 s.
    Duration timeout = std::chrono::seconds(2);
    std::size_t max_queued = 8192;      ///< waiting for their turn
    std::size_t max_in_flight = 32768;  ///< of the 65,536 transaction ids that there are
};

struct QueryStats {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;  ///< an error, or an answer that could not be read
    std::uint64_t timeouts = 0;
    std::uint64_t dropped = 0;  ///< never sent: a bound was reached
    std::size_t in_flight = 0;
    std::size_t queued = 0;
};

/// The way of every query of ours: by turns of priority, so many packets a second, so many to one
/// address, each with a deadline. Sans-IO: time is an input; one thread.
class QueryQueue {
 public:
    /// kTimeout: no answer. kInvalid: refused, or an answer that cannot be read. kLimit: not sent,
    /// a bound was reached. Runs once, never before send() returned.
    using OnReply = std::function<void(TimePoint now, Result<Reply>)>;

    QueryQueue(Wire& wire, QueryLimits limits);

    /// Gives when it will go, about: who waits for an answer counts from then. One who counted from
    /// now would take a queue for a dead node, ask another one, and lengthen the queue.
    TimePoint send(TimePoint now, const Endpoint& to, Query query, Priority priority,
                   OnReply on_reply);

    /// An answer, or an error, for a ticket given to the wire; unknown tickets came too late.
    void on_reply(TimePoint now, std::uint64_t ticket, Result<Reply> reply);

    /// Sends what may go, ends what is late. Callbacks run from here and from on_reply().
    void advance(TimePoint now);
    /// When advance() has something to do; TimePoint::max() where nothing waits.
    TimePoint next_due(TimePoint now) const;

    /// False while routine work should not begin: a twentieth of a second's packets wait already.
    bool has_room() const;
    QueryStats stats() const;

 private:
    struct Waiting {
        Endpoint to;
        Query query;
        OnReply on_reply;
        Priority priority;
    };
    struct Flight {
        OnReply on_reply;
    };

    TimePoint reserve(TimePoint now, const Endpoint& to);
    void refill(TimePoint now);
    void transmit(TimePoint now, Waiting waiting);
    bool may_send(Priority priority) const;

    // injected
    Wire& wire_;
    const QueryLimits limits_;

    // state
    /// When an address may be written to again, by a keyed hash of it: two that share a place only
    /// wait for each other, and the table never grows. In microseconds since `epoch_`.
    static constexpr std::size_t kAddressSlots = 1U << 16;
    std::vector<std::int64_t> next_free_us_;
    TimePoint epoch_{};
    std::array<std::deque<Waiting>, kPriorities> ready_;
    std::multimap<TimePoint, Waiting> delayed_;
    std::deque<OnReply> dropped_;
    std::unordered_map<std::uint64_t, Flight> in_flight_;
    std::deque<std::pair<TimePoint, std::uint64_t>> deadlines_;  // ascending
    std::uint64_t next_ticket_ = 1;
    double credit_ = 0;  // packets that may go now
    TimePoint credit_at_{};
    QueryStats stats_;
};

}  // namespace kollator::dht
