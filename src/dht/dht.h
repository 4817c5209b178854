#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"
#include "dht/announcer.h"
#include "dht/node.h"
#include "dht/node_health.h"
#include "dht/peer_finder.h"
#include "dht/peer_store.h"
#include "dht/query_queue.h"

namespace kollator::dht {

struct DhtOptions {
    NodeOptions node;  ///< its state is read from `state_path`
    std::uint16_t announce_port = 0;
    unsigned packets_per_second = 2000;
    std::filesystem::path state_path;
    NodeHealthOptions health;
    /// How often the routing table is looked at once it grows no more.
    Duration refresh = std::chrono::seconds(10);
    /// See PeerFinderOptions.
    std::function<void(Duration took, AnswerSource)> on_answer{};
};

struct DhtReport {
    std::vector<TableReport> tables;  ///< one for each address listened on
    std::vector<std::uint16_t> ports;
    std::string listen_error;  ///< empty: none
    AnnouncerStats announcer_v4;
    AnnouncerStats announcer_v6;
    QueryStats queries;
    PeerFinderStats lookups;
    PeerStore::Stats heard;
    NodeHealthReport health;
    std::uint64_t rejoins = 0;
    std::uint64_t refused_sends = 0;  ///< see Node
    unsigned packets_per_second = 0;
};

/// The worker's part in the DHT: a node, the announcer of each address family, look-ups, health,
/// and the state that outlives a restart. Loop thread only.
class Dht {
 public:
    /// Never fails: what is wrong stands in the report. All references outlive it.
    Dht(EventLoop& loop, JobPool& jobs, FileSystem& fs, Random& random, DhtOptions options);
    ~Dht();
    Dht(const Dht&) = delete;
    Dht& operator=(const Dht&) = delete;

    /// False where there is no room for more keys.
    bool announce(const InfoHash& key, When when);
    void withdraw(const InfoHash& key);
    std::size_t announce_all_now();

    using OnFound = std::function<void(Result<std::vector<Endpoint>>)>;
    /// See PeerFinder::find_either(). `on_found` runs once, on the loop, after this returned.
    void find(const InfoHash& key, const InfoHash& shard, OnFound on_found);
    /// What others announced to our node.
    std::vector<Endpoint> heard_peers(const InfoHash& key);

    DhtReport report();

    /// Writes the state down. `on_done` runs once.
    void close(std::function<void()> on_done);

 private:
    NodeEvents events();
    void on_table(const TableReport& report);
    void on_contacts(const NodeId& of, std::vector<Contact> contacts);
    void on_listen_failed(const std::string& address, const std::string& why);
    void touched();
    void advance();
    void refresh();
    void keep_house(TimePoint now);
    void rejoin();
    void save(std::function<void()> on_done);
    Announcer& announcer(bool v6) { return v6 ? announcer_v6_ : announcer_v4_; }

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    FileSystem& fs_;
    const DhtOptions options_;

    // owned; each refers to those above it
    class Link;
    std::unique_ptr<Link> link_;
    std::shared_ptr<PeerStore> heard_;
    QueryQueue queue_;
    NodeHealth health_;
    PeerFinder finder_;
    Announcer announcer_v4_;
    Announcer announcer_v6_;
    std::unique_ptr<Node> node_;
    Timer advance_timer_;
    Timer refresh_timer_;

    // state
    struct Table {
        TableReport report;
        std::vector<Contact> contacts;
        TimePoint heard{};
    };
    std::vector<Table> tables_;
    std::vector<std::uint16_t> ports_;
    std::map<std::string, std::string> listen_errors_;  // by address; as many as were given
    std::vector<Endpoint> last_contacts_;               // of when there were some
    std::uint64_t rejoins_ = 0;
    Duration refresh_pause_{};
    std::size_t refreshed_contacts_ = 0;  // that were known at the last look
    TimePoint next_save_{};
    TimePoint next_listen_{};
    bool advance_posted_ = false;
    bool closed_ = false;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::dht
