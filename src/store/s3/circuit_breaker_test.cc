#include "store/s3/circuit_breaker.h"

#include <gtest/gtest.h>

namespace kollator::store::s3 {
namespace {

using std::chrono::seconds;
using Pass = CircuitBreaker::Pass;

class CircuitBreakerTest : public testing::Test {
 protected:
    void fail(int times, Pass pass = Pass::kYes) {
        for (int i = 0; i < times; ++i) breaker_.on_outage(clock_.now(), pass);
    }
    Pass pass() { return breaker_.pass(clock_.now()); }

    ManualClock clock_;
    CircuitBreaker breaker_{
        {.failures = 3, .min_silence = seconds(1), .min_wait = seconds(1), .max_wait = seconds(4)}};
};

TEST_F(CircuitBreakerTest, OpensOnOutagesInARowOnly) {
    fail(2);
    EXPECT_FALSE(breaker_.on_answer(clock_.now()));
    clock_.advance(seconds(1));
    fail(2);
    EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
    EXPECT_EQ(pass(), Pass::kYes);
    EXPECT_TRUE(breaker_.on_outage(clock_.now(), Pass::kYes));
    EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
    EXPECT_EQ(pass(), Pass::kNo);
    EXPECT_EQ(breaker_.wait_left(clock_.now()), seconds(1));
}

TEST_F(CircuitBreakerTest, AServerThatStillAnswersIsAskedWhateverRowsComeByChance) {
    breaker_.on_answer(clock_.now());
    clock_.advance(std::chrono::milliseconds(999));
    fail(100);
    EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
    clock_.advance(std::chrono::milliseconds(1));
    fail(1);
    EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, LetsOneRequestThroughWhenItHasWaited) {
    fail(3);
    clock_.advance(seconds(1));
    EXPECT_FALSE(breaker_.refuses(clock_.now()));
    EXPECT_EQ(pass(), Pass::kProbe);
    EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen);
    EXPECT_EQ(pass(), Pass::kNo);
    EXPECT_TRUE(breaker_.refuses(clock_.now()));
    EXPECT_TRUE(breaker_.on_answer(clock_.now()));
    EXPECT_EQ(pass(), Pass::kYes);
    EXPECT_EQ(breaker_.outages(), 0U);
}

TEST_F(CircuitBreakerTest, WaitsTwiceAsLongAfterEachProbeThatFailsUpToItsBound) {
    fail(3);
    for (const int expected : {1, 2, 4, 4}) {
        EXPECT_EQ(breaker_.wait_left(clock_.now()), seconds(expected));
        clock_.advance(seconds(expected));
        EXPECT_EQ(pass(), Pass::kProbe);
        EXPECT_FALSE(breaker_.on_outage(clock_.now(), Pass::kProbe));
        EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
    }
    clock_.advance(seconds(4));
    EXPECT_EQ(pass(), Pass::kProbe);
    breaker_.on_answer(clock_.now());
    clock_.advance(seconds(1));
    fail(3);
    EXPECT_EQ(breaker_.wait_left(clock_.now()), seconds(1));
}

TEST_F(CircuitBreakerTest, WhatWasSentBeforeItOpenedNeitherProlongsNorEndsAProbe) {
    fail(3);
    clock_.advance(seconds(1));
    fail(5);
    EXPECT_EQ(pass(), Pass::kProbe);
    fail(5);
    EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen);
    EXPECT_TRUE(breaker_.on_answer(clock_.now()));  // of a late one: the server is there
    EXPECT_FALSE(breaker_.on_outage(clock_.now(), Pass::kProbe));
    EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ACancelledProbeIsFollowedByAnother) {
    fail(3);
    clock_.advance(seconds(1));
    EXPECT_EQ(pass(), Pass::kProbe);
    breaker_.on_cancelled(Pass::kYes);
    EXPECT_EQ(pass(), Pass::kNo);
    breaker_.on_cancelled(Pass::kProbe);
    EXPECT_EQ(pass(), Pass::kProbe);
}

TEST_F(CircuitBreakerTest, CanBeTurnedOff) {
    CircuitBreaker off({.failures = 0, .min_silence = {}});
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(off.on_outage(clock_.now(), Pass::kYes));
    EXPECT_EQ(off.pass(clock_.now()), Pass::kYes);
}

}  // namespace
}  // namespace kollator::store::s3
