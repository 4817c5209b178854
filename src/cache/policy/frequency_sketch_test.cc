#include "cache/policy/frequency_sketch.h"

#include <random>

#include "gmock/gmock.h"

namespace kollator::cache {
namespace {

TEST(FrequencySketchTest, NeverCountsTooLittle) {
    FrequencySketch sketch(1 << 12, 1'000'000);
    std::mt19937_64 random(3);
    for (std::uint32_t times = 1; times <= 50; ++times) {
        const PolicyKey key = random();
        for (std::uint32_t n = 0; n < times; ++n) sketch.add(key);
        EXPECT_GE(sketch.estimate(key), times);
    }
}

TEST(FrequencySketchTest, CountsStrangersSeldom) {
    FrequencySketch sketch(8 * 1000, 1'000'000);
    std::mt19937_64 random(5);
    for (int n = 0; n < 1000; ++n) sketch.add(random());
    int counted = 0;
    for (int n = 0; n < 1000; ++n) counted += sketch.estimate(random()) > 0;
    EXPECT_LT(counted, 50);
}

TEST(FrequencySketchTest, HalvesAfterASample) {
    FrequencySketch sketch(1024, 100);
    for (int n = 0; n < 99; ++n) sketch.add(42);
    EXPECT_EQ(sketch.estimate(42), 99U);
    sketch.add(42);
    EXPECT_EQ(sketch.estimate(42), 50U);
    EXPECT_DOUBLE_EQ(sketch.weight(), 50);
}

TEST(FrequencySketchTest, StopsAtItsCountersEnd) {
    FrequencySketch sketch(1024, 10'000);
    for (int n = 0; n < 1000; ++n) sketch.add(42);
    EXPECT_EQ(sketch.estimate(42), 255U);
}

}  // namespace
}  // namespace kollator::cache
