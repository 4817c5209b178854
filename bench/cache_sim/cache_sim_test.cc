#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "bench/cache_sim/informed.h"
#include "bench/cache_sim/simulator.h"

namespace kollator::bench {
namespace {

constexpr std::uint64_t kSmallCacheBytes = 60 * kChunkBytes;
constexpr std::size_t kRequests = 400'000;
constexpr std::size_t kWarmUp = kRequests / 4;

double hit_ratio(const Trace& trace, cache::PolicyKind kind) {
    return simulate(trace, kind, kSmallCacheBytes, kWarmUp).object_hit_ratio();
}

/// The most hits of all ways to keep `capacity` chunks, by trying all.
std::size_t most_hits(const std::vector<cache::PolicyKey>& keys, std::size_t at,
                      const std::set<cache::PolicyKey>& kept, std::size_t capacity) {
    if (at == keys.size()) return 0;
    const bool hit = kept.contains(keys[at]);
    std::size_t best = most_hits(keys, at + 1, kept, capacity);
    if (!hit) {
        auto with = kept;
        with.insert(keys[at]);
        if (with.size() <= capacity) best = most_hits(keys, at + 1, with, capacity);
        for (const cache::PolicyKey victim : kept) {
            if (with.size() <= capacity) break;
            auto without = with;
            without.erase(victim);
            best = std::max(best, most_hits(keys, at + 1, without, capacity));
        }
    }
    return best + (hit ? 1 : 0);
}

TEST(SimulatorTest, MinIsTheBestOfAllWays) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 50; ++round) {
        Trace trace;
        std::vector<cache::PolicyKey> keys;
        for (int n = 0; n < 12; ++n) {
            keys.push_back(random() % 5);
            trace.requests.push_back({.key = keys.back()});
        }
        const Outcome outcome = simulate_min(trace, 2 * kChunkBytes, 0);
        EXPECT_EQ(outcome.hits, most_hits(keys, 0, {}, 2));
    }
}

// What the default policy is chosen for (docs/performance.md).

TEST(DefaultPolicyTest, IsLevelWithTinyLfuAndFarFromLruWherePopularityIsAllThereIs) {
    const Trace trace = zipf_trace(0.8, 10'000, kRequests, 1);
    const double ratio = hit_ratio(trace, cache::PolicyKind::kSessionAware);
    EXPECT_GE(ratio, 1.8 * hit_ratio(trace, cache::PolicyKind::kLru));
    EXPECT_GE(ratio, hit_ratio(trace, cache::PolicyKind::kTinyLfu) - 0.005);
}

TEST(DefaultPolicyTest, ComesNearToMinWhereReadersGoThroughFiles) {
    for (const auto& [readers, of_min] : {std::pair(100, 0.85), {500, 0.85}}) {
        const Trace trace =
            sequential_trace(10'000, kRequests, static_cast<std::size_t>(readers), 1);
        const double best = simulate_min(trace, kSmallCacheBytes, kWarmUp).object_hit_ratio();
        EXPECT_GE(hit_ratio(trace, cache::PolicyKind::kSessionAware), of_min * best) << readers;
    }
}

TEST(DefaultPolicyTest, ReachesWithFewReadersWhatCanBeKnown) {
    const Trace trace = sequential_trace(10'000, kRequests, 20, 1);
    const double informed = simulate_informed(trace, kSmallCacheBytes, kWarmUp).object_hit_ratio();
    EXPECT_GE(hit_ratio(trace, cache::PolicyKind::kSessionAware), 0.98 * informed);
    EXPECT_LT(informed, simulate_min(trace, kSmallCacheBytes, kWarmUp).object_hit_ratio());
}

}  // namespace
}  // namespace kollator::bench
