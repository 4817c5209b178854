#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "base/random.h"
#include "crypto/hash.h"
#include "dht/announcer.h"
#include "dht/peer_finder.h"
#include "tests/support/dht_network.h"

namespace kollator::testing {

struct DhtSimulationOptions {
    DhtNetwork::Options network;
    std::size_t keys = 1432;
    unsigned packets_per_second = 1500;
    bool remember = true;
};

struct DhtCycle {
    std::size_t runs = 0;
    double queries = 0;    ///< a run
    double bytes_out = 0;  ///< a run
    double bytes_in = 0;
    double p50_s = 0;
    double p99_s = 0;
    std::size_t failed = 0;
    std::size_t most_late = 0;  ///< keys late at once
    double oldest_s = 0;        ///< the highest that was seen
    double queries_per_second = 0;
    double records = 0;  ///< of the 8 nearest living nodes, how many have a key's record: the mean
};

struct DhtLookUps {
    std::size_t found = 0;
    double p50_s = 0;  ///< until the first peers are known
    double p99_s = 0;
};

/// An announcer in a DhtNetwork, in virtual time.
class DhtSimulation {
 public:
    explicit DhtSimulation(const DhtSimulationOptions& options)
        : network_(options.network), random_(options.network.seed + 7) {
        dht::QueryLimits limits;
        limits.packets_per_second = options.packets_per_second;
        queue_ = std::make_unique<dht::QueryQueue>(network_, limits);
        network_.set_on_reply(
            [this](TimePoint now, std::uint64_t ticket, Result<dht::Reply> reply) {
                queue_->on_reply(now, ticket, std::move(reply));
            });
        contacts_ = network_.contacts(dht::NodeId(crypto::sha1(as_bytes("us"))), 320);
        dht::AnnouncerOptions announcer;
        announcer.port = 8081;
        announcer.remember = options.remember;
        announcer.max_runs = std::max<std::size_t>(16, options.packets_per_second * 3 / 16);
        announcer.on_run = [this](const dht::RunReport& run) {
            took_.push_back(std::chrono::duration<double>(run.took).count());
            queries_ += run.queries;
            if (!run.announced) ++failed_;
        };
        announcer_ = std::make_unique<dht::Announcer>(
            *queue_, random_, announcer, [this](const InfoHash& key) { return nearest(key); });
        finder_ = std::make_unique<dht::PeerFinder>(
            *queue_, dht::PeerFinderOptions(),
            [this](const InfoHash& key, bool v6) {
                if (v6) return std::vector<dht::Contact>();
                std::vector<dht::Contact> seeds = nearest(key);
                if (pooled_) announcer_->append_near(key, seeds);
                return seeds;
            },
            nullptr);
        for (std::size_t i = 0; i < options.keys; ++i) {
            if (i < kWatched) network_.watch(key(i));
            announcer_->add(network_.now(), key(i), dht::When::kSpread);
        }
    }

    static InfoHash key(std::size_t number) {
        return InfoHash(crypto::sha1(as_bytes("key " + std::to_string(number))));
    }

    DhtNetwork& network() { return network_; }
    dht::Announcer& announcer() { return *announcer_; }

    /// Runs for so long, and gives what happened in that time.
    DhtCycle run(Duration duration) {
        took_.clear();
        queries_ = failed_ = 0;
        const std::uint64_t bytes_out = network_.bytes_out;
        const std::uint64_t bytes_in = network_.bytes_in;
        const std::uint64_t messages = network_.messages;
        DhtCycle cycle;
        const TimePoint end = network_.now() + duration;
        TimePoint next_look = network_.now();
        while (network_.now() < end) {
            step();
            if (network_.now() < next_look) continue;
            next_look = network_.now() + std::chrono::seconds(5);
            const dht::AnnouncerStats stats = announcer_->stats(network_.now());
            cycle.most_late = std::max(cycle.most_late, stats.late);
            cycle.oldest_s =
                std::max(cycle.oldest_s, std::chrono::duration<double>(stats.oldest).count());
        }
        cycle.runs = took_.size();
        cycle.failed = failed_;
        const double runs = std::max<double>(1, static_cast<double>(cycle.runs));
        cycle.queries = static_cast<double>(queries_) / runs;
        cycle.bytes_out = static_cast<double>(network_.bytes_out - bytes_out) / runs;
        cycle.bytes_in = static_cast<double>(network_.bytes_in - bytes_in) / runs;
        cycle.queries_per_second = static_cast<double>(network_.messages - messages) /
                                   std::chrono::duration<double>(duration).count();
        std::sort(took_.begin(), took_.end());
        if (!took_.empty()) {
            cycle.p50_s = took_[took_.size() / 2];
            cycle.p99_s = took_[took_.size() * 99 / 100];
        }
        const std::size_t watched = std::min(kWatched, announcer_->stats(network_.now()).keys);
        for (std::size_t i = 0; i < watched; ++i) {
            cycle.records += static_cast<double>(network_.records_near(key(i)));
        }
        cycle.records /= static_cast<double>(std::max<std::size_t>(1, watched));
        return cycle;
    }

    /// Looks up so many keys that somebody else announced, one after the other, while it announces.
    /// `pooled`: they begin at nodes that answered the announcer lately, too.
    DhtLookUps look_up(std::size_t count, bool pooled) {
        pooled_ = pooled;
        DhtLookUps out;
        std::vector<double> took;
        for (std::size_t i = 0; i < count; ++i) {
            const InfoHash sought = key(1'000'000'000 + 2 * i + (pooled ? 1 : 0));
            network_.place(sought);
            const TimePoint began = network_.now();
            bool answered = false;
            finder_->find(began, sought, [&](TimePoint now, Result<dht::PeerFinder::Peers> peers) {
                answered = true;
                took.push_back(std::chrono::duration<double>(now - began).count());
                if (peers && !peers->empty()) ++out.found;
            });
            while (!answered) step();
        }
        std::sort(took.begin(), took.end());
        out.p50_s = took[took.size() / 2];
        out.p99_s = took[took.size() * 99 / 100];
        return out;
    }

    void step() {
        const TimePoint now = network_.now();
        TimePoint next = std::min({network_.next(), queue_->next_due(now),
                                   announcer_->next_due(now), finder_->next_due(now)});
        // As the worker's loop does: what comes within a tick is looked at together.
        next = std::max(next, now + std::chrono::milliseconds(5));
        network_.advance(std::min(next, now + std::chrono::seconds(1)));
        queue_->advance(network_.now());
        finder_->advance(network_.now());
        announcer_->advance(network_.now());
        queue_->advance(network_.now());
    }

 private:
    static constexpr std::size_t kWatched = 500;

    std::vector<dht::Contact> nearest(const InfoHash& key) const {
        std::vector<dht::Contact> sorted = contacts_;
        const std::size_t count = std::min(sorted.size(), dht::kClosest);
        std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count),
                          sorted.end(), [&](const dht::Contact& a, const dht::Contact& b) {
                              return dht::distance_of(key, a.id) < dht::distance_of(key, b.id);
                          });
        sorted.resize(count);
        return sorted;
    }

    DhtNetwork network_;
    SeededRandom random_;
    std::unique_ptr<dht::QueryQueue> queue_;
    std::vector<dht::Contact> contacts_;
    std::unique_ptr<dht::Announcer> announcer_;
    std::unique_ptr<dht::PeerFinder> finder_;
    bool pooled_ = false;
    std::vector<double> took_;
    std::uint64_t queries_ = 0;
    std::size_t failed_ = 0;
};

}  // namespace kollator::testing
