#include "peer/liveness.h"

#include <gtest/gtest.h>

namespace kollator::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Step = Liveness::Step;

class LivenessTest : public ::testing::Test {
 protected:
    void SetUp() override { liveness_.begin(clock_.now(), signs_); }
    Step after(Duration pause) {
        clock_.advance(pause);
        return liveness_.look(clock_.now(), signs_);
    }
    /// The time that passes, tick by tick, until look() gives `step`.
    Duration until(Step step) {
        Duration passed = Duration::zero();
        for (;;) {
            passed += limits_.tick;
            if (after(limits_.tick) == step) return passed;
            if (passed > seconds(60)) return Duration::max();
        }
    }

    const LivenessLimits limits_;
    ManualClock clock_;
    Liveness liveness_{limits_};
    std::uint64_t signs_ = 7;
};

TEST_F(LivenessTest, SilenceIsProbedAndThenTakenForTheEnd) {
    EXPECT_EQ(until(Step::kProbe), limits_.probe_after);
    EXPECT_EQ(until(Step::kLost), limits_.lost_after - limits_.probe_after);
}

TEST_F(LivenessTest, LeavesOneSecondOfTheFiveForReachingAnother) {
    EXPECT_LE(limits_.lost_after + limits_.tick, seconds(4));
}

TEST_F(LivenessTest, ProbesOnceInASilence) {
    (void)until(Step::kProbe);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(after(limits_.tick), Step::kNone);
}

TEST_F(LivenessTest, AnySignBeginsTheSilenceAnew) {
    for (int i = 0; i < 100; ++i) {
        EXPECT_NE(after(milliseconds(900)), Step::kLost);
        EXPECT_NE(after(milliseconds(900)), Step::kLost);
        ++signs_;  // a packet of 1,200 bytes, of a message that takes a minute
        EXPECT_EQ(after(milliseconds(1)), Step::kNone);
    }
    EXPECT_EQ(until(Step::kProbe), limits_.probe_after);
}

TEST_F(LivenessTest, AStallOfThisProcessIsNoSilenceOfTheOther) {
    EXPECT_EQ(after(seconds(30)), Step::kNone);
    ++signs_;  // read only now
    EXPECT_EQ(after(limits_.tick), Step::kNone);
    EXPECT_EQ(until(Step::kProbe), limits_.probe_after);
}

TEST_F(LivenessTest, CountsFromWhenSomethingIsOwed) {
    clock_.advance(seconds(100));
    liveness_.begin(clock_.now(), signs_);
    EXPECT_EQ(until(Step::kProbe), limits_.probe_after);
}

}  // namespace
}  // namespace kollator::peer
