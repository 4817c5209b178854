#include "cluster/fellows.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "peer/http_client.h"

namespace kollator::cluster {
namespace {

const log::Logger kLog("cluster");

constexpr Duration kDialTimeout = std::chrono::seconds(10);

peer::DialerOptions dialer_options(const protocol::Hello& hello) {
    peer::DialerOptions options;
    options.hello = hello;
    options.requests.max_active = kMaxLinkRequests + 4;  // chunks, a ping, AUTH
    options.way_timeout = kDialTimeout;
    options.hello_timeout = kDialTimeout;
    return options;
}

peer::Route route_of(const std::string& address) {
    peer::Route route;
    if (address.starts_with("/")) {
        route.direct_address = address;
    } else {
        route.worker_url = address;
    }
    return route;
}

std::string address_of(const peer::Route& route) {
    if (!route.worker_url.empty()) return route.worker_url;
    return route.direct_address.empty() ? route.signaling_url : route.direct_address;
}

}  // namespace

/// What /metrics shows.
struct Fellows::Shown {
    explicit Shown(MetricsRegistry& metrics)
        : up(metrics.gauge("kollator_cluster_fellows", "Fellow workers by the state of our link",
                           {{"state", "up"}})),
          down(metrics.gauge("kollator_cluster_fellows", "Fellow workers by the state of our link",
                             {{"state", "down"}})) {
        const auto result = [&](const char* name) {
            return metrics.counter("kollator_cluster_requests_total",
                                   "Chunks asked of fellows, by what came of it",
                                   {{"result", name}});
        };
        counters.emplace_back(
            &LinkCounts::connected,
            metrics.counter("kollator_cluster_links_total", "Links to fellows that came up"));
        counters.emplace_back(&LinkCounts::asked, metrics.counter("kollator_cluster_asked_total",
                                                                  "Chunks asked of fellows"));
        counters.emplace_back(&LinkCounts::received_bytes,
                              metrics.counter("kollator_cluster_received_bytes_total",
                                              "Bytes of chunks received from fellows"));
        counters.emplace_back(&LinkCounts::got, result("ok"));
        counters.emplace_back(&LinkCounts::not_found, result("not_found"));
        counters.emplace_back(&LinkCounts::timeouts, result("timeout"));
        counters.emplace_back(&LinkCounts::failures, result("failed"));
        counters.emplace_back(&LinkCounts::corrupt,
                              metrics.counter("kollator_cluster_corrupt_total",
                                              "Chunks of fellows that did not match their name"));
        for (std::size_t i = 0; i < kAuthRefusals; ++i) {
            const auto reason = static_cast<AuthRefusal>(i);
            refusals.push_back(metrics.counter("kollator_cluster_auth_refused_total",
                                               "Authentications of others that were refused",
                                               {{"reason", std::string(to_string(reason))}}));
        }
    }
    void add(std::uint64_t LinkCounts::*which, std::uint64_t amount) {
        for (auto& [count, counter] : counters) {
            if (count == which) counter.add(static_cast<double>(amount));
        }
    }

    Gauge up;
    Gauge down;
    std::vector<std::pair<std::uint64_t LinkCounts::*, Counter>> counters;
    std::vector<Counter> refusals;
};

Fellows::Fellows(const Services& services, const crypto::SharedKey& key,
                 const Fingerprint& own_fingerprint, const protocol::Hello& hello,
                 FellowsOptions options)
    : options_(std::move(options)),
      authenticator_(services.authenticator),
      shown_(std::make_unique<Shown>(services.metrics)),
      dialer_(services.loop, services.clock, services.random, services.endpoint,
              dialer_options(hello)),
      context_{services.loop,
               services.clock,
               services.random,
               services.endpoint,
               dialer_,
               services.authenticator,
               own_fingerprint,
               hello,
               options_.wait,
               [this](auto which, std::uint64_t amount) {
                   shown_->add(which, amount);
                   if (which == &LinkCounts::connected) total_links_ += amount;
               }},
      rendezvous_(key) {
    for (const std::string& address : options_.addresses) {
        add("at " + address, route_of(address), std::nullopt);
    }
    for (std::size_t front = 0; front < options_.fronts.size(); ++front) {
        front_timers_.push_back(std::make_unique<Timer>(services.loop));
        ask_front(front);
    }
}

Fellows::~Fellows() {
    stop();
}

void Fellows::stop() {
    stopped_ = true;
    for (const auto& timer : front_timers_) timer->cancel();
    entries_.clear();
}

// --- who there is ------------------------------------------------------------------------------

void Fellows::add(const std::string& name, peer::Route route, std::optional<std::size_t> front) {
    const auto found = entries_.find(name);
    if (found == entries_.end() && entries_.size() >= kMaxFellows) {
        return kLog.debug("fellow=\"{}\" ignored reason=\"too many\"", name);
    }
    Entry& entry = found == entries_.end() ? entries_[name] : found->second;
    if (front) {
        entry.fronts.insert(*front);
    } else {
        entry.fixed = true;
    }
    if (entry.link) return entry.link->set_route(std::move(route));
    FellowLink::Hooks hooks;
    hooks.admit = [this, name](const std::string& fellow_id) { return admit(name, fellow_id); };
    hooks.changed = [this] { on_changed(); };
    entry.link = std::make_unique<FellowLink>(context_, std::move(route), std::move(hooks));
}

/// One link a fellow: an address of the settings and one of a front's list may lead to the same.
Status Fellows::admit(const std::string& name, const std::string& fellow_id) {
    for (const auto& [other, entry] : entries_) {
        if (other == name || !entry.link->up() || entry.link->fellow_id() != fellow_id) continue;
        return make_error(ErrorCode::kLimit, fellow_id + " is linked already, " + other);
    }
    return {};
}

/// Where one link to a fellow is lost another address may be good. Called from within a link.
void Fellows::on_changed() {
    context_.loop.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        for (const auto& [name, entry] : entries_) {
            if (!entry.link->unwanted() || entry.link->fellow_id().empty()) continue;
            if (admit(name, entry.link->fellow_id())) entry.link->try_now();
        }
    });
}

void Fellows::ask_front(std::size_t front) {
    peer::HttpRequest request;
    request.url = peer::join_url(options_.fronts[front].http_url, "/workers");
    dialer_.http().send(std::move(request), [this, front, alive = std::weak_ptr(alive_)](
                                                const Result<peer::HttpReply>& reply) {
        if (alive.expired() || stopped_) return;
        if (reply && reply->status == 200) {
            const auto workers = parse_workers(reply->body);
            if (workers) {
                take_list(front, *workers);
            } else {
                kLog.warn("front={} list=bad detail=\"{}\"", options_.fronts[front].http_url,
                          workers.error().detail);
            }
        }
        // Fronts are not asked by all workers at the same moment.
        const Duration jitter{static_cast<Duration::rep>(
            context_.random.u64() % static_cast<std::uint64_t>(options_.front_interval.count()))};
        front_timers_[front]->start_after(options_.front_interval / 2 + jitter,
                                          [this, front] { ask_front(front); });
    });
}

/// What a front does not list any more goes once its link is lost; a front that does not answer
/// takes nobody away.
void Fellows::take_list(std::size_t front, const std::vector<ListedWorker>& workers) {
    std::set<std::string> listed;
    for (const ListedWorker& worker : workers) {
        if (worker.id == authenticator_.worker_id() || worker.draining) continue;
        const std::string name = "id " + worker.id;
        listed.insert(name);
        peer::Route route;
        route.worker_id = worker.id;
        route.worker_url = worker.url;
        route.signaling_url = options_.fronts[front].signaling_url;
        add(name, std::move(route), front);
    }
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        if (!listed.contains(entry->first)) entry->second.fronts.erase(front);
        const bool gone = !entry->second.fixed && entry->second.fronts.empty();
        entry = gone && !entry->second.link->up() ? entries_.erase(entry) : std::next(entry);
    }
}

// --- who is asked ------------------------------------------------------------------------------

/// Null where we own the chunk ourselves.
FellowLink* Fellows::owner_of(const ChunkId& id) {
    std::vector<std::string_view> ids{authenticator_.worker_id()};
    std::vector<FellowLink*> links{nullptr};
    for (const auto& [name, entry] : entries_) {
        if (!entry.link->usable()) continue;
        ids.push_back(entry.link->fellow_id());
        links.push_back(entry.link.get());
    }
    return links[*rendezvous_.owner(id, ids)];
}

std::unique_ptr<ChunkSource::Request> Fellows::fetch(const ChunkId& id, const Options& options,
                                                     OnProgress on_progress, OnDone on_done) {
    if (stopped_) return nullptr;
    FellowLink* const owner = owner_of(id);
    if (owner == nullptr) return nullptr;
    return owner->fetch(id, options, std::move(on_progress), std::move(on_done));
}

void Fellows::was_corrupt(const ChunkId& id) {
    if (stopped_) return;
    if (FellowLink* const owner = owner_of(id)) owner->was_corrupt();
}

// --- what is shown -----------------------------------------------------------------------------

std::vector<FellowInfo> Fellows::list() const {
    std::vector<FellowInfo> fellows;
    for (const auto& [name, entry] : entries_) {
        const FellowLink& link = *entry.link;
        fellows.push_back({link.fellow_id(), address_of(link.route()), link.state(), link.usable(),
                           link.unwanted(), link.counts(), link.last_error()});
    }
    return fellows;
}

std::size_t Fellows::links() const {
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(),
                      [](const auto& entry) { return entry.second.link->up(); }));
}

void Fellows::refresh_metrics() {
    const auto down = std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
        return !entry.second.link->up() && !entry.second.link->unwanted();
    });
    shown_->up.set(static_cast<double>(links()));
    shown_->down.set(static_cast<double>(down));
    for (std::size_t i = 0; i < kAuthRefusals; ++i) {
        const auto refused =
            static_cast<double>(authenticator_.refused(static_cast<AuthRefusal>(i)));
        shown_->refusals[i].add(refused - shown_->refusals[i].value());
    }
}

}  // namespace kollator::cluster
