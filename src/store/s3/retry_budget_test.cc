#include "store/s3/retry_budget.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/random.h"

namespace kollator::store::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RetryBudget, AQuietWorkerHasItsFloor) {
    ManualClock clock;
    RetryBudget budget({.percent = 10, .floor = 3});
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.try_take(clock.now()));
    EXPECT_FALSE(budget.try_take(clock.now()));
    clock.advance(seconds(59));
    EXPECT_FALSE(budget.try_take(clock.now()));
    clock.advance(seconds(2));
    EXPECT_TRUE(budget.try_take(clock.now()));
}

TEST(RetryBudget, ABusyWorkerHasItsShare) {
    ManualClock clock;
    RetryBudget budget({.percent = 10, .floor = 3});
    for (int i = 0; i < 1000; ++i) budget.note_request(clock.now());
    int taken = 0;
    while (budget.try_take(clock.now())) ++taken;
    EXPECT_EQ(taken, 100);
    clock.advance(seconds(61));
    taken = 0;
    while (budget.try_take(clock.now())) ++taken;
    EXPECT_EQ(taken, 3);
}

TEST(RetryBudget, NoPercentLeavesTheFloorAndNoFloorNothing) {
    ManualClock clock;
    RetryBudget floor_alone({.percent = 0, .floor = 1});
    RetryBudget nothing({.percent = 0, .floor = 0});
    for (int i = 0; i < 1000; ++i) floor_alone.note_request(clock.now());
    EXPECT_TRUE(floor_alone.try_take(clock.now()));
    EXPECT_FALSE(floor_alone.try_take(clock.now()));
    EXPECT_FALSE(nothing.try_take(clock.now()));
}

/// Against a list of all that happened, over an hour of uneven load where everything wants a retry.
TEST(RetryBudget, NoMinuteBeforeARetryHoldsMoreThanAllowed) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        SCOPED_TRACE(seed);
        SeededRandom random(seed);
        ManualClock clock;
        RetryBudget budget({.percent = 10, .floor = 5});
        std::deque<TimePoint> requests;
        std::deque<TimePoint> retries;
        const TimePoint end = clock.now() + std::chrono::hours(1);
        std::uint64_t pace_ms = 1;
        while (clock.now() < end) {
            if (random.u32() % 500 == 0) pace_ms = 1 + random.u32() % 2000;
            clock.advance(milliseconds(random.u32() % (2 * pace_ms)));
            const TimePoint minute_ago = clock.now() - seconds(60);
            while (!requests.empty() && requests.front() < minute_ago) requests.pop_front();
            while (!retries.empty() && retries.front() < minute_ago) retries.pop_front();
            requests.push_back(clock.now());
            budget.note_request(clock.now());
            if (!budget.try_take(clock.now())) continue;
            retries.push_back(clock.now());
            ASSERT_LE(retries.size(), std::max<std::size_t>(5, requests.size() / 10));
        }
    }
}

}  // namespace
}  // namespace kollator::store::s3
