// How much the announcing of so many keys costs in a network of a million nodes, in virtual time:
//
//     dht_sim [keys] [nodes] [packets/s] [cycles] [naive cycles]
//
// Each line is one period of 25 minutes; "naive" looks every key up anew each time. At the end:
// how long look-ups of others' keys take, from the routing table alone and as the worker does it.

#include <cstdio>
#include <cstdlib>

#include "tests/support/dht_simulation.h"

namespace {

using kollator::testing::DhtCycle;
using kollator::testing::DhtLookUps;
using kollator::testing::DhtSimulation;
using kollator::testing::DhtSimulationOptions;

void run(const DhtSimulationOptions& options, int cycles) {
    if (cycles == 0) return;
    DhtSimulation simulation(options);
    for (int i = 1; i <= cycles; ++i) {
        const DhtCycle cycle = simulation.run(std::chrono::minutes(25));
        std::printf(
            "| %zu | %s | %d | %zu | %.1f | %.0f | %.0f | %.2f | %.2f | %.0f | %zu | %zu | %.0f | "
            "%.2f |\n",
            options.keys, options.remember ? "remembered" : "naive", i, cycle.runs, cycle.queries,
            cycle.bytes_out, cycle.bytes_in, cycle.p50_s, cycle.p99_s, cycle.queries_per_second,
            cycle.failed, cycle.most_late, cycle.oldest_s, cycle.records);
        std::fflush(stdout);
    }
    const auto stats = simulation.announcer().stats(simulation.network().now());
    std::fprintf(stderr, "table: %.1f bytes a key\n",
                 static_cast<double>(stats.memory_bytes) / static_cast<double>(stats.keys));
}

void look_up(const DhtSimulationOptions& options) {
    constexpr std::size_t kLookUps = 2000;
    DhtSimulation simulation(options);
    (void)simulation.run(std::chrono::minutes(25));
    std::printf("| look-ups begin at | found | p50 s | p99 s |\n| --- | --- | --- | --- |\n");
    for (const bool pooled : {false, true}) {
        const DhtLookUps found = simulation.look_up(kLookUps, pooled);
        std::printf("| %s | %zu of %zu | %.3f | %.3f |\n",
                    pooled ? "and nodes that answered lately" : "the routing table", found.found,
                    kLookUps, found.p50_s, found.p99_s);
    }
}

}  // namespace

int main(int count, char** arguments) {
    const auto number = [&](int index, unsigned long otherwise) {
        return count > index ? std::strtoul(arguments[index], nullptr, 10) : otherwise;
    };
    DhtSimulationOptions options;
    options.keys = number(1, 1432);
    options.network.nodes = number(2, 1'000'000);
    options.packets_per_second = static_cast<unsigned>(number(3, 1500));
    const int cycles = static_cast<int>(number(4, 4));
    const int naive_cycles = static_cast<int>(number(5, 2));
    std::printf(
        "| keys | way | period | runs | queries | bytes out | bytes in | p50 s | p99 s | "
        "queries/s | failed | late at once | oldest s | records |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (const bool remember : {false, true}) {
        options.remember = remember;
        run(options, remember ? cycles : naive_cycles);
    }
    look_up(options);
    return 0;
}
