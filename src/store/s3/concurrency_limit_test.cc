#include "store/s3/concurrency_limit.h"

#include <gtest/gtest.h>

namespace kollator::store::s3 {
namespace {

class ConcurrencyLimitTest : public testing::Test {
 protected:
    void succeed(int times) {
        for (int i = 0; i < times; ++i) limit_.on_success(clock_.now());
    }

    ManualClock clock_;
    ConcurrencyLimit limit_{8};
};

TEST_F(ConcurrencyLimitTest, HalvesOnceForABurstOfRefusals) {
    const std::uint64_t era = limit_.era();
    EXPECT_TRUE(limit_.on_too_much(era, clock_.now()));
    for (int i = 0; i < 7; ++i) EXPECT_FALSE(limit_.on_too_much(era, clock_.now()));
    EXPECT_EQ(limit_.value(), 4U);
    EXPECT_TRUE(limit_.on_too_much(limit_.era(), clock_.now()));
    EXPECT_EQ(limit_.value(), 2U);
}

TEST_F(ConcurrencyLimitTest, NeverStopsAltogether) {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit_.on_too_much(limit_.era(), clock_.now()));
    EXPECT_EQ(limit_.value(), 1U);
}

TEST_F(ConcurrencyLimitTest, GoesUpByOneForARoundOfSuccessesAndAStepOfTime) {
    limit_.on_too_much(limit_.era(), clock_.now());
    succeed(1000);
    EXPECT_EQ(limit_.value(), 4U);
    clock_.advance(ConcurrencyLimit::kStepTime);
    succeed(1);
    EXPECT_EQ(limit_.value(), 5U);
    clock_.advance(ConcurrencyLimit::kStepTime);
    succeed(4);
    EXPECT_EQ(limit_.value(), 5U);
    succeed(1);
    EXPECT_EQ(limit_.value(), 6U);
}

TEST_F(ConcurrencyLimitTest, NeverPassesItsMost) {
    for (int i = 0; i < 100; ++i) {
        clock_.advance(ConcurrencyLimit::kStepTime);
        succeed(10);
    }
    EXPECT_EQ(limit_.value(), 8U);
}

}  // namespace
}  // namespace kollator::store::s3
