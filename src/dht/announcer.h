#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "dht/contact_pool.h"
#include "dht/key_table.h"
#include "dht/lookup.h"

namespace kollator::dht {

/// How the announcing of one key went.
struct RunReport {
    bool announced = false;
    bool iterative = false;  ///< from the routing table, not from remembered nodes
    std::size_t queries = 0;
    Duration took{};
};

/// No announcement of ours gets older than this. Nodes forget peers after 30 to 45 minutes.
inline constexpr std::chrono::minutes kAnnouncePeriod{25};
/// What announcing a key again takes, about: 17.6 to 18.0 in simulation (docs/performance.md).
inline constexpr double kPacketsPerKey = 18;

struct AnnouncerOptions {
    std::uint16_t port = 0;  ///< where clients begin
    bool v6 = false;         ///< the address family, and so the network (BEP 32)
    Duration period = kAnnouncePeriod;
    /// A key is due this long before that, at a point chosen for an even load.
    Duration margin_least = std::chrono::seconds(60);
    Duration margin_most = std::chrono::seconds(210);
    /// After a run that nobody acknowledged; doubled each time, up to 16 times of it.
    Duration retry = std::chrono::seconds(30);
    std::size_t max_keys = 2'000'000;
    /// Keys under way: a run takes up to 2 s where a node is dead, and 16 queries.
    std::size_t max_runs = 280;
    /// False: every run begins at the routing table. To measure against.
    bool remember = true;
    std::function<void(const RunReport&)> on_run;
};

enum class When : std::uint8_t {
    kSpread,  ///< within the first period: what was there at the start
    kSoon,    ///< in line
    kUrgent,  ///< before those in line
};

struct AnnouncerStats {
    std::size_t keys = 0;
    std::size_t due = 0;          ///< in line, or under way
    std::size_t running = 0;      ///< of those
    std::size_t late = 0;         ///< last announced (or added) over a period ago
    Duration oldest{};            ///< since the last announcement (or the adding) of the oldest key
    std::uint64_t announced = 0;  ///< runs that somebody acknowledged
    std::uint64_t failed = 0;     ///< runs that nobody did
    std::uint64_t acknowledged = 0;  ///< announce_peer messages
    std::uint64_t refused = 0;       ///< announce_peer messages with an error, or no answer
    std::uint64_t queries = 0;       ///< of runs that ended
    std::size_t memory_bytes = 0;    ///< of the table
};

/// Announces keys in one address family, again and again, with few queries: of each key it
/// remembers the 8 nearest nodes that answered, asks just these for tokens and for whoever is
/// nearer by now, and announces with the tokens. Sans-IO: time is an input; one thread.
///
///     kWaiting --(its second comes)--> kDue ---+
///        ^                                     +--(room)--> kRunning --> kWaiting
///     urgent() -----------------> kUrgent -----+
class Announcer {
 public:
    /// Contacts of the routing table near a key; empty while there is no network.
    using Seeds = std::function<std::vector<Contact>(const InfoHash&)>;

    /// `queue` and `random` outlive it.
    Announcer(QueryQueue& queue, Random& random, AnnouncerOptions options, Seeds seeds);
    ~Announcer();
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;

    /// A key that is there already is only hurried where `when` asks for it. False: max_keys.
    bool add(TimePoint now, const InfoHash& key, When when);
    /// Announced no more; nodes forget it by themselves.
    void remove(const InfoHash& key);
    bool contains(const InfoHash& key) const { return table_.find(key) != kNoSlot; }
    /// Puts all that wait in line; gives how many keys there are.
    std::size_t hurry_all(TimePoint now);

    void advance(TimePoint now);
    TimePoint next_due(TimePoint now) const;
    AnnouncerStats stats(TimePoint now);
    /// Nodes near a key that answered lately: where a look-up may begin, besides the seeds.
    void append_near(const InfoHash& key, std::vector<Contact>& out) const {
        pool_.append_near(key, out);
    }

 private:
    struct Run {
        std::uint64_t serial = 0;
        InfoHash key;
        Priority priority = Priority::kRoutine;
        bool iterative = false;
        TimePoint began{};
        std::unique_ptr<Lookup> lookup;
        LookupOutcome outcome;
        std::size_t open = 0;  // announce_peer messages without an answer yet
        std::size_t acknowledged = 0;
        std::size_t queries = 0;
    };

    static constexpr std::size_t kWheelSeconds = 2048;  // over the longest wait: a power of two

    std::uint32_t second_of(TimePoint now);
    std::uint32_t quietest(std::uint32_t from_s, std::uint32_t to_s);
    void schedule(KeySlot slot, std::uint32_t due_s);
    void unschedule(KeySlot slot);
    void put_in_line(KeySlot slot, KeyState state);
    KeyList& line_of(const KeyRecord& record);

    void turn_wheel(std::uint32_t second);
    void note_late(std::uint32_t second);
    void leave_age(KeySlot slot);
    void enter_age(KeySlot slot, std::uint32_t second);

    bool start_next(TimePoint now);
    void look_up(TimePoint now, KeySlot slot, const std::vector<Endpoint>& remembered);
    void on_looked_up(TimePoint now, KeySlot slot, std::uint64_t serial, LookupOutcome outcome);
    void announce(TimePoint now, KeySlot slot, Run& run);
    void on_announced(TimePoint now, KeySlot slot, std::uint64_t serial, bool acknowledged);
    void end_run(TimePoint now, KeySlot slot);
    void remember_dead(KeyRecord& record, const std::vector<Endpoint>& dead);
    Run* find_run(KeySlot slot, std::uint64_t serial);

    // injected
    QueryQueue& queue_;
    Random& random_;
    const AnnouncerOptions options_;
    const Seeds seeds_;

    // state
    KeyTable table_;
    ContactPool pool_;
    std::array<KeyList, kWheelSeconds> wheel_{};
    KeyList urgent_;
    KeyList due_;
    KeyList age_;                 // all keys, the longest not announced first
    KeySlot late_end_ = kNoSlot;  // the first of age_ that is not late
    std::size_t late_ = 0;
    std::unordered_map<KeySlot, Run> runs_;
    std::vector<std::unique_ptr<Lookup>> ended_;  // not destroyed within their own callback
    std::uint64_t next_serial_ = 1;
    TimePoint epoch_{};
    std::uint32_t turned_s_ = 0;  // the wheel's slots up to here are empty
    TimePoint next_sweep_{};
    TimePoint blocked_until_{};
    AnnouncerStats stats_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::dht
