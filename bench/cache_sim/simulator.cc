#include "bench/cache_sim/simulator.h"

#include <ctime>
#include <limits>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "bench/cache_sim/simulated_cache.h"

namespace kollator::bench {
namespace {

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

namespace {

/// One call of a policy.
struct Call {
    enum class Kind : std::uint8_t { kRequested, kInsert, kHit, kRemove, kVictim, kAdmits } kind;
    cache::Slot slot = cache::kNoSlot;
    cache::PolicyKey key = 0;
    std::uint64_t value = 0;  // bytes, or when
};

/// Writes down what it is asked, and passes it on.
class Recorder final : public cache::EvictionPolicy {
 public:
    explicit Recorder(std::unique_ptr<cache::EvictionPolicy> policy) : policy_(std::move(policy)) {}

    void requested(cache::PolicyKey key, TimePoint now) override {
        note(Call::Kind::kRequested, cache::kNoSlot, key, now);
        policy_->requested(key, now);
    }
    void insert(cache::Slot slot, cache::PolicyKey key, std::uint64_t bytes) override {
        calls.push_back({Call::Kind::kInsert, slot, key, bytes});
        policy_->insert(slot, key, bytes);
    }
    void hit(cache::Slot slot) override {
        calls.push_back({Call::Kind::kHit, slot});
        policy_->hit(slot);
    }
    void remove(cache::Slot slot) override {
        calls.push_back({Call::Kind::kRemove, slot});
        policy_->remove(slot);
    }
    cache::Slot victim(const MayEvict& may_evict, TimePoint now) override {
        note(Call::Kind::kVictim, cache::kNoSlot, 0, now);
        return policy_->victim(may_evict, now);
    }
    bool admits(cache::PolicyKey newcomer, cache::Slot victim, TimePoint now) override {
        note(Call::Kind::kAdmits, victim, newcomer, now);
        return policy_->admits(newcomer, victim, now);
    }

    std::vector<Call> calls;

 private:
    void note(Call::Kind kind, cache::Slot slot, cache::PolicyKey key, TimePoint now) {
        const auto when = static_cast<std::uint64_t>(now.time_since_epoch().count());
        calls.push_back({kind, slot, key, when});
    }
    const std::unique_ptr<cache::EvictionPolicy> policy_;
};

void repeat(const Call& call, cache::EvictionPolicy& policy) {
    const TimePoint now{Duration(static_cast<std::int64_t>(call.value))};
    switch (call.kind) {
        case Call::Kind::kRequested:
            return policy.requested(call.key, now);
        case Call::Kind::kInsert:
            return policy.insert(call.slot, call.key, call.value);
        case Call::Kind::kHit:
            return policy.hit(call.slot);
        case Call::Kind::kRemove:
            return policy.remove(call.slot);
        case Call::Kind::kVictim:
            (void)policy.victim([](cache::Slot) { return true; }, now);
            return;
        case Call::Kind::kAdmits:
            (void)policy.admits(call.key, call.slot, now);
            return;
    }
}

}  // namespace

double policy_nanoseconds(const Trace& trace, cache::PolicyKind kind, std::uint64_t max_bytes) {
    const auto nowhere = [](cache::PolicyKey) { return cache::kNoSlot; };
    auto recorder = std::make_unique<Recorder>(cache::make_policy(kind, max_bytes, nowhere));
    const Recorder& recorded = *recorder;
    SimulatedCache simulated(std::move(recorder), max_bytes);
    for (const Request& request : trace.requests) simulated.request(request);
    const auto policy = cache::make_policy(kind, max_bytes, nowhere);
    const std::clock_t begun = std::clock();
    for (const Call& call : recorded.calls) repeat(call, *policy);
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    return seconds * 1e9 / static_cast<double>(trace.requests.size());
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
