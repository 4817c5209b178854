#include "app/cache_history.h"

#include <gtest/gtest.h>

namespace kollator::app {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(1)};

CacheCounts counts_at(std::uint64_t second) {
    return {second, 2 * second, 3 * second, 4 * second, 5 * second, 6 * second};
}

TEST(CacheHistoryTest, TellsWhatHappenedOfLate) {
    CacheHistory history;
    for (std::uint64_t second = 0; second <= 7200; ++second) {
        history.sample(kStart + seconds(second), counts_at(second));
    }
    const TimePoint now = kStart + seconds(7200);
    EXPECT_EQ(history.since(now, minutes(1), counts_at(7200)), counts_at(60));
    EXPECT_EQ(history.since(now, minutes(5), counts_at(7200)), counts_at(300));
    EXPECT_EQ(history.since(now, minutes(60), counts_at(7200)), counts_at(3600));
    EXPECT_EQ(history.since(now, minutes(90), counts_at(7200)), counts_at(3600)) << "the longest";
    EXPECT_EQ(history.since(now + seconds(3), minutes(1), counts_at(7203)), counts_at(63))
        << "to within an interval";
}

TEST(CacheHistoryTest, BeginsWithTheFirstSample) {
    CacheHistory history;
    EXPECT_EQ(history.since(kStart, minutes(5), counts_at(7)), counts_at(7));
    history.sample(kStart, counts_at(0));
    EXPECT_EQ(history.since(kStart + seconds(3), minutes(5), counts_at(3)), counts_at(3));
    history.sample(kStart + seconds(5), counts_at(5));
    EXPECT_EQ(history.since(kStart + seconds(20), minutes(5), counts_at(20)), counts_at(20));
}

TEST(CacheHistoryTest, APauseMakesNothingUp) {
    CacheHistory history;
    history.sample(kStart, counts_at(0));
    history.sample(kStart + std::chrono::hours(3), counts_at(10));
    EXPECT_EQ(history.since(kStart + std::chrono::hours(3), minutes(1), counts_at(10)),
              counts_at(10))
        << "nothing was seen in between: since the last time";
    EXPECT_EQ(history.since(kStart + std::chrono::hours(3) + minutes(2), minutes(1), counts_at(10)),
              CacheCounts());
}

}  // namespace
}  // namespace kollator::app
