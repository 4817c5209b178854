#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bench/cache_sim/informed.h"
#include "bench/cache_sim/simulator.h"
#include "bench/cache_sim/trace_file.h"
#include "tests/support/temp_folder.h"

namespace kollator::bench {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kSmallCacheBytes = 60 * kChunkBytes;
constexpr std::size_t kRequests = 400'000;
constexpr std::size_t kWarmUp = kRequests / 4;

double hit_ratio(const Trace& trace, cache::PolicyKind kind) {
    return simulate(trace, kind, kSmallCacheBytes, kWarmUp).object_hit_ratio();
}

class TraceFileTest : public ::testing::Test {
 protected:
    std::filesystem::path file(const std::string& name, const std::string& content) {
        const auto path = folder_.path() / name;
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }

 private:
    testing_support::TempFolder folder_;
};

TEST_F(TraceFileTest, ReadsCsvWithAHeading) {
    const auto trace = read_trace(file("a.csv", "time,object,size\r\n1,x,10\n1,y,0\r\n\n7,x,10\n"));
    ASSERT_TRUE(trace.ok());
    EXPECT_EQ(trace->name, "a.csv");
    ASSERT_EQ(trace->requests.size(), 3U);
    EXPECT_EQ(trace->requests[0].key, trace->requests[2].key);
    EXPECT_NE(trace->requests[0].key, trace->requests[1].key);
    EXPECT_EQ(trace->requests[0].bytes, 10U);
    EXPECT_EQ(trace->requests[1].bytes, 1U);
    EXPECT_EQ(trace->requests[2].at - trace->requests[0].at, std::chrono::seconds(6));
    EXPECT_EQ(trace->distinct(), 2U);
}

TEST_F(TraceFileTest, NamesTheLineThatIsWrong) {
    for (const char* line : {"3;x;10", "3,x", "three,x,10", "3,x,ten"}) {
        const auto trace = read_trace(file("a.csv", std::string("1,x,10\n") + line + "\n"));
        ASSERT_FALSE(trace.ok()) << line;
        EXPECT_EQ(trace.error().code, ErrorCode::kInvalid);
        EXPECT_THAT(trace.error().detail, HasSubstr("line 2"));
    }
}

TEST_F(TraceFileTest, ReadsOracleGeneral) {
    // time 258, object 1, size 65,536, next access unknown; then time 259, object 2, size 5.
    const std::string records(
        "\x02\x01\0\0\x01\0\0\0\0\0\0\0\0\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff"
        "\x03\x01\0\0\x02\0\0\0\0\0\0\0\x05\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        48);
    const auto trace = read_trace(file("a.oracleGeneral", records));
    ASSERT_TRUE(trace.ok());
    ASSERT_EQ(trace->requests.size(), 2U);
    EXPECT_EQ(trace->requests[0].at, TimePoint{} + std::chrono::seconds(258));
    EXPECT_EQ(trace->requests[0].bytes, 65'536U);
    EXPECT_EQ(trace->requests[1].bytes, 5U);
    EXPECT_NE(trace->requests[0].key, trace->requests[1].key);

    const auto cut = read_trace(file("b.oracleGeneral.bin", records.substr(0, 30)));
    ASSERT_FALSE(cut.ok());
    EXPECT_THAT(cut.error().detail, HasSubstr("record 2"));
}

TEST_F(TraceFileTest, SaysThatThereIsNone) {
    const auto trace = read_trace("/nowhere/a.csv");
    ASSERT_FALSE(trace.ok());
    EXPECT_EQ(trace.error().code, ErrorCode::kNotFound);
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
