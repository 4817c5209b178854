// The announcer in a network of a hundred thousand nodes, in virtual time: a small copy of
// bench/dht_sim.

#include <gtest/gtest.h>

#include "tests/support/dht_simulation.h"

namespace kollator::testing {
namespace {

constexpr std::chrono::minutes kPeriod{25};

DhtSimulationOptions options_of(std::size_t keys) {
    DhtSimulationOptions options;
    options.keys = keys;
    options.network.nodes = 100'000;
    options.network.seed = 20261122;
    return options;
}

TEST(DhtAnnouncer, ASteadyStateTakesEighteenQueriesAKeyAndNoKeyIsLate) {
    DhtSimulation simulation(options_of(700));
    (void)simulation.run(kPeriod);  // from the routing table
    for (int cycle = 2; cycle <= 3; ++cycle) {
        const DhtCycle now = simulation.run(kPeriod);
        EXPECT_LE(now.queries, 18.2) << cycle;
        EXPECT_GE(now.runs, 700U) << cycle;
        EXPECT_EQ(now.most_late, 0U) << cycle;
        EXPECT_LE(now.oldest_s, 1500) << cycle;
        EXPECT_EQ(now.failed, 0U) << cycle;
        EXPECT_GE(now.records, 6) << "of the 8 nodes where others look, in cycle " << cycle;
    }
}

TEST(DhtAnnouncer, AThirdOfTheNetworkMayGo) {
    DhtSimulation simulation(options_of(500));
    (void)simulation.run(kPeriod);
    simulation.network().kill(0.3);
    const DhtCycle after = simulation.run(kPeriod);
    EXPECT_EQ(after.most_late, 0U);
    EXPECT_GE(simulation.run(kPeriod).records, 5);
}

TEST(DhtLookUp, BeginsAtNodesThatAnsweredTheAnnouncerLately) {
    DhtSimulation simulation(options_of(1500));
    (void)simulation.run(kPeriod);
    constexpr std::size_t kLookUps = 500;
    const DhtLookUps from_table = simulation.look_up(kLookUps, false);
    const DhtLookUps found = simulation.look_up(kLookUps, true);
    EXPECT_EQ(from_table.found, kLookUps);
    EXPECT_EQ(found.found, kLookUps);
    EXPECT_LT(found.p50_s, 0.9 * from_table.p50_s);
    EXPECT_LT(found.p50_s, 0.2) << "round trips are 0.1 s at the median";
    EXPECT_LT(found.p99_s, 0.4);
}

TEST(DhtAnnouncer, WhatCannotBeKeptUpIsCountedAsLate) {
    DhtSimulationOptions options = options_of(1500);
    options.packets_per_second = 10;  // a third of what they need
    DhtSimulation simulation(options);
    (void)simulation.run(kPeriod);
    const DhtCycle now = simulation.run(kPeriod);
    EXPECT_GT(now.most_late, 250U);
    EXPECT_GT(now.oldest_s, 1500);
    EXPECT_LE(now.queries, 26) << "what waits in the queue is not taken for dead";
    EXPECT_EQ(now.failed, 0U);
    EXPECT_GE(static_cast<double>(now.runs) * now.queries, 1400.0 * 10)
        << "and the limit is made use of";
    EXPECT_LE(now.queries_per_second, 11);
}

}  // namespace
}  // namespace kollator::testing
