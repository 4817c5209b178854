#include "bench/cache_sim/simulator.h"

#include <ctime>
#include <limits>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

namespace kollator::bench {
namespace {

class SimulatedCache {
 public:
    SimulatedCache(cache::PolicyKind kind, std::uint64_t max_bytes)
        : policy_(cache::make_policy(kind, max_bytes,
                                     [this](cache::PolicyKey key) {
                                         const auto found = slots_.find(key);
                                         return found == slots_.end() ? cache::kNoSlot
                                                                      : found->second;
                                     })),
          max_bytes_(max_bytes) {}

    void learn(const Trace& trace) {
        for (std::size_t file = 0; file < trace.files.size(); ++file) {
            policy_->learn_file(file, trace.files[file]);
        }
    }

    bool request(const Request& request) {
        policy_->requested(request.key, request.at);
        if (request.reader != kNobody) {
            policy_->reader_at(request.reader, request.key, request.at);
            if (request.last) policy_->reader_left(request.reader);
        }
        const auto found = slots_.find(request.key);
        if (found != slots_.end()) {
            policy_->hit(found->second);
            return true;
        }
        take_in(request);
        return false;
    }

    std::uint64_t written() const { return written_; }

 private:
    struct Entry {
        cache::PolicyKey key = 0;
        std::uint64_t bytes = 0;
    };

    void take_in(const Request& request) {
        if (request.bytes > max_bytes_) return;
        while (used_bytes_ + request.bytes > max_bytes_) {
            const cache::Slot victim =
                policy_->victim([](cache::Slot) { return true; }, request.at);
            if (!policy_->admits(request.key, victim, request.at)) return;
            drop(victim);
        }
        cache::Slot slot = static_cast<cache::Slot>(entries_.size());
        if (free_.empty()) {
            entries_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        entries_[slot] = {request.key, request.bytes};
        slots_.emplace(request.key, slot);
        used_bytes_ += request.bytes;
        ++written_;
        policy_->insert(slot, request.key, request.bytes);
    }

    void drop(cache::Slot slot) {
        policy_->remove(slot);
        slots_.erase(entries_[slot].key);
        used_bytes_ -= entries_[slot].bytes;
        free_.push_back(slot);
    }

    const std::unique_ptr<cache::EvictionPolicy> policy_;
    const std::uint64_t max_bytes_;
    std::unordered_map<cache::PolicyKey, cache::Slot> slots_;
    std::vector<Entry> entries_;
    std::vector<cache::Slot> free_;
    std::uint64_t used_bytes_ = 0;
    std::uint64_t written_ = 0;
};

void count(Outcome& outcome, const Request& request, bool hit) {
    ++outcome.requests;
    outcome.requested_bytes += request.bytes;
    if (!hit) return;
    ++outcome.hits;
    outcome.hit_bytes += request.bytes;
}

}  // namespace

Outcome simulate(const Trace& trace, cache::PolicyKind kind, std::uint64_t max_bytes,
                 std::size_t warm_up) {
    SimulatedCache simulated(kind, max_bytes);
    simulated.learn(trace);
    Outcome outcome;
    const std::clock_t begun = std::clock();
    for (std::size_t n = 0; n < trace.requests.size(); ++n) {
        const bool hit = simulated.request(trace.requests[n]);
        if (n >= warm_up) count(outcome, trace.requests[n], hit);
    }
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    outcome.written = simulated.written();
    outcome.nanoseconds_per_request = seconds * 1e9 / static_cast<double>(trace.requests.size());
    return outcome;
}

Outcome simulate_min(const Trace& trace, std::uint64_t max_bytes, std::size_t warm_up) {
    constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> next_use(trace.requests.size(), kNever);
    std::unordered_map<cache::PolicyKey, std::size_t> seen;
    for (std::size_t n = trace.requests.size(); n > 0; --n) {
        const auto [at, first] = seen.try_emplace(trace.requests[n - 1].key, n - 1);
        if (!first) next_use[n - 1] = at->second;
        at->second = n - 1;
    }
    struct Kept {
        std::size_t next_use = 0;
        std::uint64_t bytes = 0;
    };
    std::unordered_map<cache::PolicyKey, Kept> kept;
    std::set<std::pair<std::size_t, cache::PolicyKey>> by_next_use;
    std::uint64_t used_bytes = 0;
    const auto drop = [&](cache::PolicyKey key) {
        const Kept& gone = kept.at(key);
        used_bytes -= gone.bytes;
        by_next_use.erase({gone.next_use, key});
        kept.erase(key);
    };
    Outcome outcome;
    for (std::size_t n = 0; n < trace.requests.size(); ++n) {
        const Request& request = trace.requests[n];
        const bool hit = kept.contains(request.key);
        if (n >= warm_up) count(outcome, request, hit);
        if (hit) drop(request.key);
        if (next_use[n] == kNever || request.bytes > max_bytes) continue;
        kept[request.key] = {next_use[n], request.bytes};
        by_next_use.emplace(next_use[n], request.key);
        used_bytes += request.bytes;
        if (!hit) ++outcome.written;
        while (used_bytes > max_bytes) drop(by_next_use.rbegin()->second);
    }
    return outcome;
}

}  // namespace kollator::bench
