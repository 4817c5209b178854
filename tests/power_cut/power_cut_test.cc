// Whatever a power cut leaves of what was not synced, a worker's storage keeps its promises: every
// prefix of seeded histories of stores, uploads, evictions, removals and restarts is recovered
// from. KOLLATOR_POWER_CUT_HISTORIES sets their number (100), KOLLATOR_SEED the first one's seed.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <iostream>

#include "tests/power_cut/history.h"

namespace kollator::power_cut {
namespace {

using testing_support::DiskImage;
using Lie = testing_support::PowerCutFileSystem::Lie;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* const value = ::getenv(name);
    return value != nullptr ? std::stoull(value) : otherwise;
}

struct Outcome {
    std::size_t prefixes = 0;
    std::size_t states = 0;    ///< recovered from: many prefixes leave what the one before left
    std::size_t promises = 0;  ///< objects that had to be there, over all prefixes
    std::vector<std::string> faults;
};

/// Two lives of one disk: what the first power cut left is what the second one starts from.
Outcome run_history(std::uint64_t seed, Policy policy, Lie lie, const std::string& lie_below,
                    std::size_t max_faults) {
    Outcome outcome;
    SeededRandom random(seed);
    DiskImage image;
    Promises promises;
    for (int life = 0; life < 2; ++life) {
        History history(image, promises, policy, random.u64());
        history.disk().set_lie(lie, lie_below);
        history.run();
        const std::size_t changes = history.disk().changes();
        std::optional<std::pair<DiskImage, Promises>> last;
        for (std::size_t i = 0; i <= changes && outcome.faults.size() < max_faults; ++i) {
            ++outcome.prefixes;
            std::pair now(history.disk().image(i), history.promises_at(i));
            outcome.promises += now.second.kept_count();
            if (last == now) continue;
            ++outcome.states;
            const auto faults = faults_of_recovery(now.first, now.second, policy, random.u64());
            last = std::move(now);
            for (const std::string& fault : faults) {
                outcome.faults.push_back("seed " + std::to_string(seed) + " life " +
                                         std::to_string(life) + " change " + std::to_string(i) +
                                         ": " + fault);
            }
        }
        const std::size_t cut = random.u32() % (changes + 1);
        promises = history.promises_at(cut);
        image = history.disk().image(cut);
    }
    return outcome;
}

TEST(PowerCut, EveryPrefixOfAHistoryKeepsThePromises) {
    const std::uint64_t histories = setting("KOLLATOR_POWER_CUT_HISTORIES", 100);
    const std::uint64_t first = setting("KOLLATOR_SEED", 20260101);
    std::size_t prefixes = 0;
    std::size_t states = 0;
    std::size_t promises = 0;
    for (std::uint64_t i = 0; i < histories; ++i) {
        const Policy policy = i % 3 == 2 ? Policy::kThrough : Policy::kBack;
        const Outcome outcome = run_history(first + i, policy, Lie::kNone, "", 5);
        prefixes += outcome.prefixes;
        states += outcome.states;
        promises += outcome.promises;
        for (const std::string& fault : outcome.faults) ADD_FAILURE() << fault;
        if (HasFailure()) break;
    }
    std::cout << "first_seed=" << first << " histories=" << histories << " prefixes=" << prefixes
              << " states=" << states << " promises=" << promises << std::endl;
    EXPECT_GT(promises, prefixes);
}

struct Lying {
    Policy policy;
    Lie lie;
    const char* below;
};

/// The test above can fail: a disk that does not sync what it says it synced is found out, in each
/// place where the code relies on it.
class PowerCutOnALyingDisk : public testing::TestWithParam<Lying> {};

TEST_P(PowerCutOnALyingDisk, IsFoundOut) {
    const auto& [policy, lie, below] = GetParam();
    std::size_t found = 0;
    for (std::uint64_t seed = 1; seed <= 10 && found == 0; ++seed) {
        found = run_history(seed, policy, lie, below, 1).faults.size();
    }
    EXPECT_GT(found, 0U);
}

INSTANTIATE_TEST_SUITE_P(Each, PowerCutOnALyingDisk,
                         testing::Values(Lying{Policy::kBack, Lie::kData, "/data/journal"},
                                         Lying{Policy::kBack, Lie::kNames, "/data/journal"},
                                         Lying{Policy::kBack, Lie::kData, "/data/store"},
                                         Lying{Policy::kBack, Lie::kNames, "/data/store"},
                                         Lying{Policy::kThrough, Lie::kData, "/data/store"},
                                         Lying{Policy::kThrough, Lie::kNames, "/data/store"}));

}  // namespace
}  // namespace kollator::power_cut
