#include "dht/dht.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kollator::dht {
namespace {

const log::Logger kLog("dht");

/// The routing table is looked at often while it grows, and then less and less.
constexpr std::chrono::milliseconds kRefreshGrowing{500};
/// A table that was not reported for so long has gone: its address, or the DHT was entered anew.
constexpr std::chrono::seconds kTableAge{35};
constexpr std::chrono::minutes kSaveInterval{5};
constexpr std::chrono::seconds kListenInterval{30};
constexpr std::size_t kMaxLastContacts = 128;
constexpr std::size_t kMaxStateBytes = 1U << 20;
/// The loop's own work between two looks; also what a burst of packets is spread over.
constexpr std::chrono::milliseconds kTick{5};

/// A run takes 16 packets, and 2 s where a node is dead; half as much again.
std::size_t runs_for(unsigned packets_per_second) {
    constexpr unsigned kPacketsPerRun = 16;
    return std::max<std::size_t>(16, packets_per_second * 3 / kPacketsPerRun);
}

AnnouncerOptions announcer_options(const DhtOptions& options, bool v6) {
    AnnouncerOptions out;
    out.port = options.announce_port;
    out.v6 = v6;
    out.max_runs = runs_for(options.packets_per_second);
    return out;
}

QueryLimits query_limits(const DhtOptions& options) {
    QueryLimits limits;
    limits.packets_per_second = options.packets_per_second;
    if (options.node.allow_private) {
        // Nobody bans there, and many nodes share an address.
        limits.count_ports = true;
        limits.address_per_second = 1000;
    }
    return limits;
}

bool listens_on(const NodeOptions& options, bool v6) {
    return std::any_of(options.addresses.begin(), options.addresses.end(),
                       [v6](const std::string& address) {
                           return (address.find(':') != std::string::npos) == v6;
                       });
}

PeerFinderOptions finder_options(const DhtOptions& options) {
    PeerFinderOptions out;
    out.v4 = listens_on(options.node, false);
    out.v6 = listens_on(options.node, true);
    out.on_answer = options.on_answer;
    return out;
}

}  // namespace

/// The queue's way to the node, which is made after it.
class Dht::Link final : public Wire {
 public:
    explicit Link(Dht& dht) : dht_(dht) {}
    void send(const Endpoint& to, const Query& query, std::uint64_t ticket) override {
        dht_.node_->send(to, query, ticket);
    }

 private:
    Dht& dht_;
};

Dht::Dht(EventLoop& loop, JobPool& jobs, FileSystem& fs, Random& random, DhtOptions options)
    : loop_(loop),
      jobs_(jobs),
      fs_(fs),
      options_(std::move(options)),
      link_(std::make_unique<Link>(*this)),
      heard_(std::make_shared<PeerStore>(AddressPolicy{options_.node.allow_private})),
      queue_(*link_, query_limits(options_)),
      health_(loop.now(), queue_, options_.health),
      finder_(
          queue_, finder_options(options_),
          [this](const InfoHash& key, bool v6) {
              std::vector<Contact> seeds = health_.nearest(key, v6);
              announcer(v6).append_near(key, seeds);
              return seeds;
          },
          [this](const InfoHash& key, const LookupOutcome& outcome) {
              health_.on_lookup(key, outcome);
          }),
      announcer_v4_(queue_, random, announcer_options(options_, false),
                    [this](const InfoHash& key) { return health_.nearest(key, false); }),
      announcer_v6_(queue_, random, announcer_options(options_, true),
                    [this](const InfoHash& key) { return health_.nearest(key, true); }),
      advance_timer_(loop),
      refresh_timer_(loop) {
    NodeOptions node = options_.node;
    if (auto state = read_file(fs_, options_.state_path, kMaxStateBytes)) {
        node.state = std::move(*state);
    }
    node_ = open_node(loop_, jobs_, node, heard_, events());
    next_save_ = loop_.now() + kSaveInterval;
    refresh();
    touched();
}

Dht::~Dht() = default;

NodeEvents Dht::events() {
    NodeEvents events;
    events.on_reply = [this](std::uint64_t ticket, Result<Reply> reply) {
        queue_.on_reply(loop_.now(), ticket, std::move(reply));
        touched();
    };
    events.on_table = [this](const TableReport& report) { on_table(report); };
    events.on_contacts = [this](const NodeId& of, std::vector<Contact> contacts) {
        on_contacts(of, std::move(contacts));
    };
    events.on_listening = [this](const std::string& address, std::uint16_t port) {
        if (std::find(ports_.begin(), ports_.end(), port) == ports_.end()) ports_.push_back(port);
        listen_errors_.erase(address);
    };
    events.on_listen_failed = [this](const std::string& address, const std::string& why) {
        on_listen_failed(address, why);
    };
    return events;
}

void Dht::on_listen_failed(const std::string& address, const std::string& why) {
    std::string& error = listen_errors_[address];
    if (error != why) {
        kLog.error("event=listen-failed where=\"{}\" action=\"free the port or set DHT_PORT\"",
                   why);
    }
    error = why;
    next_listen_ = loop_.now() + kListenInterval;
}

void Dht::on_table(const TableReport& report) {
    const auto known = std::find_if(tables_.begin(), tables_.end(), [&](const Table& table) {
        return table.report.address == report.address && table.report.port == report.port;
    });
    if (known == tables_.end()) {
        tables_.push_back({report, {}, loop_.now()});
    } else {
        known->report = report;
        known->heard = loop_.now();
    }
}

void Dht::on_contacts(const NodeId& of, std::vector<Contact> contacts) {
    for (Table& table : tables_) {
        if (table.report.id == of) table.contacts = std::move(contacts);
    }
    std::erase_if(tables_,
                  [this](const Table& table) { return loop_.now() - table.heard >= kTableAge; });
    std::vector<Contact> all;
    for (const Table& table : tables_) {
        all.insert(all.end(), table.contacts.begin(), table.contacts.end());
    }
    if (!all.empty()) {
        last_contacts_.clear();
        for (const Contact& contact : all) {
            if (last_contacts_.size() < kMaxLastContacts) last_contacts_.push_back(contact.at);
        }
    }
    const bool first = health_.contacts().empty() && !all.empty();
    health_.set_contacts(all);
    if (first) {
        kLog.info("event=joined contacts={}", all.size());
        touched();
    }
}

bool Dht::announce(const InfoHash& key, When when) {
    bool added = false;
    for (const bool v6 : {false, true}) {
        if (!listens_on(options_.node, v6)) continue;
        added = announcer(v6).add(loop_.now(), key, when) || added;
    }
    touched();
    return added;
}

void Dht::withdraw(const InfoHash& key) {
    announcer_v4_.remove(key);
    announcer_v6_.remove(key);
}

std::size_t Dht::announce_all_now() {
    const std::size_t v4 = announcer_v4_.hurry_all(loop_.now());
    const std::size_t v6 = announcer_v6_.hurry_all(loop_.now());
    touched();
    return std::max(v4, v6);
}

void Dht::find(const InfoHash& key, const InfoHash& shard, OnFound on_found) {
    finder_.find_either(loop_.now(), key, shard,
                        [on_found = std::move(on_found)](
                            TimePoint, Result<std::vector<Endpoint>> found) { on_found(found); });
    touched();
}

std::vector<Endpoint> Dht::heard_peers(const InfoHash& key) {
    return heard_->peers(loop_.now(), key);
}

/// Everything that happened in this turn of the loop is looked at once, at its end.
void Dht::touched() {
    if (closed_ || std::exchange(advance_posted_, true)) return;
    loop_.post([this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) advance();
    });
}

void Dht::advance() {
    advance_posted_ = false;
    if (closed_) return;
    const TimePoint now = loop_.now();
    queue_.advance(now);
    finder_.advance(now);
    announcer_v4_.advance(now);
    announcer_v6_.advance(now);
    health_.advance(now);
    queue_.advance(now);
    keep_house(now);
    const TimePoint due =
        std::min({queue_.next_due(now), finder_.next_due(now), announcer_v4_.next_due(now),
                  announcer_v6_.next_due(now), health_.next_due()});
    advance_timer_.start_at(std::max(due, now + kTick), [this] { advance(); });
}

void Dht::keep_house(TimePoint now) {
    if (health_.take_lost(now)) rejoin();
    if (now >= next_save_ && !health_.contacts().empty()) {
        next_save_ = now + kSaveInterval;
        save([] {});
    }
    if (!listen_errors_.empty() && now >= next_listen_) {
        next_listen_ = now + kListenInterval;
        node_->listen_again();
    }
}

void Dht::rejoin() {
    // The first node of a private network waits for others.
    if (options_.node.bootstrap.empty() && last_contacts_.empty()) return;
    ++rejoins_;
    kLog.warn("event={} action=bootstrap known_contacts={}",
              last_contacts_.empty() ? "not-joined" : "network-lost", last_contacts_.size());
    node_->rejoin(last_contacts_);
    tables_.clear();
}

void Dht::refresh() {
    node_->refresh();
    const std::size_t contacts = health_.contacts().size();
    const std::size_t before = std::exchange(refreshed_contacts_, contacts);
    const bool grows = contacts == 0 || contacts > before;
    refresh_pause_ = grows ? Duration(kRefreshGrowing) : 2 * refresh_pause_;
    if (contacts > 0) refresh_pause_ = std::min(refresh_pause_, options_.refresh);
    refresh_timer_.start_after(refresh_pause_, [this] { refresh(); });
}

void Dht::save(std::function<void()> on_done) {
    node_->save([this, alive = std::weak_ptr<int>(alive_),
                 on_done = std::move(on_done)](Bytes state) mutable {
        if (alive.expired()) return;
        jobs_.run(
            loop_,
            [&fs = fs_, path = options_.state_path, state = std::move(state)] {
                return write_file_durably(fs, path, state, 0600);
            },
            [on_done = std::move(on_done)](const Status& status) {
                if (!status) kLog.warn("event=state-not-saved error=\"{}\"", status.error().detail);
                on_done();
            });
    });
}

void Dht::close(std::function<void()> on_done) {
    closed_ = true;
    advance_timer_.cancel();
    refresh_timer_.cancel();
    // A node that never joined knows less than what stands there.
    if (health_.contacts().empty()) return loop_.post(std::move(on_done));
    save(std::move(on_done));
}

DhtReport Dht::report() {
    const TimePoint now = loop_.now();
    DhtReport report;
    for (const Table& table : tables_) report.tables.push_back(table.report);
    report.ports = ports_;
    if (!listen_errors_.empty()) report.listen_error = listen_errors_.begin()->second;
    report.announcer_v4 = announcer_v4_.stats(now);
    report.announcer_v6 = announcer_v6_.stats(now);
    report.queries = queue_.stats();
    report.lookups = finder_.stats();
    report.heard = heard_->stats();
    report.health = health_.report(now);
    report.rejoins = rejoins_;
    report.refused_sends = node_->refused_sends();
    report.packets_per_second = options_.packets_per_second;
    return report;
}

}  // namespace kollator::dht
