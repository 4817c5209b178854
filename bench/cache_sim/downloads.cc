#include "bench/cache_sim/downloads.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <random>
#include <vector>

#include "bench/cache_sim/simulated_cache.h"

namespace kollator::bench {
namespace {

struct Client {
    cache::ReaderId reader = 0;
    std::size_t file = 0;
    Duration pace{};
    std::vector<bool> has;  // by chunk of the file
    std::size_t left = 0;
    std::size_t next = 0;          // the first that it does not have
    std::vector<std::size_t> hot;  // resident when it asked last; the next one is the last
    TimePoint asked_at{};
};

class Simulation {
 public:
    Simulation(const Downloads& downloads, cache::PolicyKind kind, std::uint64_t max_bytes)
        : downloads_(downloads), random_(downloads.seed), cache_(kind, max_bytes) {
        std::lognormal_distribution<double> length(std::log(kMedianFileChunks), kFileSpread);
        Trace trace;
        double sum = 0;
        for (std::size_t file = 0; file < downloads.files; ++file) {
            const auto chunks = std::clamp<std::size_t>(static_cast<std::size_t>(length(random_)),
                                                        1, kMaxFileChunks);
            trace.files.emplace_back();
            for (std::size_t n = 0; n < chunks; ++n) trace.files.back().push_back(random_());
            sum += std::pow(static_cast<double>(file + 1), -kFileExponent);
            popularity_.push_back(sum);
        }
        cache_.learn(trace);
        files_ = std::move(trace.files);
    }

    Outcome run() {
        using Event = std::pair<TimePoint, std::size_t>;
        std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
        std::vector<Client> clients(downloads_.clients);
        for (std::size_t n = 0; n < clients.size(); ++n) {
            begin_file(clients[n]);
            events.emplace(TimePoint() + seconds(uniform(0, kMaxPaceSeconds)), n);
        }
        Outcome outcome;
        for (std::size_t n = 0; n < downloads_.requests; ++n) {
            const auto [now, who] = events.top();
            events.pop();
            const bool hit = step(clients[who], now);
            if (n >= downloads_.requests / 4) {
                ++outcome.requests;
                outcome.hits += hit ? 1 : 0;
            }
            events.emplace(now + clients[who].pace, who);
        }
        outcome.written = cache_.written();
        return outcome;
    }

 private:
    static Duration seconds(double count) {
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
    }
    double uniform(double low, double high) {
        return std::uniform_real_distribution<double>(low, high)(random_);
    }

    void begin_file(Client& client) {
        const auto at = std::lower_bound(popularity_.begin(), popularity_.end(),
                                         uniform(0, popularity_.back()));
        client.reader = ++last_reader_;
        client.file = static_cast<std::size_t>(at - popularity_.begin());
        client.pace = seconds(uniform(kMinPaceSeconds, kMaxPaceSeconds));
        client.has.assign(files_[client.file].size(), false);
        client.left = client.has.size();
        client.next = 0;
        client.hot.clear();
        client.asked_at = TimePoint::min();
    }

    bool step(Client& client, TimePoint now) {
        const std::size_t chunk = choose(client, now);
        client.has[chunk] = true;
        --client.left;
        const bool hit = cache_.request({.at = now,
                                         .key = files_[client.file][chunk],
                                         .reader = client.reader,
                                         .last = client.left == 0});
        if (client.left == 0) begin_file(client);
        return hit;
    }

    std::size_t choose(Client& client, TimePoint now) {
        if (downloads_.hints == Downloads::Hints::kResidentFirst) {
            if (client.asked_at == TimePoint::min() ||
                now - client.asked_at >= downloads_.refresh) {
                ask(client, now);
            }
            while (!client.hot.empty()) {
                const std::size_t hot = client.hot.back();
                client.hot.pop_back();
                if (!client.has[hot]) return hot;
            }
        }
        while (client.has[client.next]) ++client.next;
        return client.next;
    }

    void ask(Client& client, TimePoint now) {
        client.asked_at = now;
        client.hot.clear();
        for (std::size_t n = client.has.size(); n > 0; --n) {
            if (!client.has[n - 1] && cache_.contains(files_[client.file][n - 1])) {
                client.hot.push_back(n - 1);
            }
        }
    }

    const Downloads downloads_;
    std::mt19937_64 random_;
    SimulatedCache cache_;
    std::vector<std::vector<cache::PolicyKey>> files_;
    std::vector<double> popularity_;  // sums
    cache::ReaderId last_reader_ = 0;
};

}  // namespace

Outcome simulate_downloads(const Downloads& downloads, cache::PolicyKind kind,
                           std::uint64_t max_bytes) {
    return Simulation(downloads, kind, max_bytes).run();
}

}  // namespace kollator::bench
