#include "dht/query_queue.h"

#include <gmock/gmock.h>

#include "dht/testing.h"

namespace kollator::dht {
namespace {

using namespace std::chrono_literals;

class QueryQueueTest : public ::testing::Test {
 protected:
    void send(unsigned node, Priority priority = Priority::kRoutine) {
        queue_->send(
            now_, test_endpoint(node), {}, priority, [this](TimePoint, Result<Reply> reply) {
                results_.push_back(reply ? "ok" : std::string(to_string(reply.error().code)));
            });
    }
    void make(const QueryLimits& limits) { queue_ = std::make_unique<QueryQueue>(wire_, limits); }
    /// As a loop would: looks whenever something is due.
    void pass(Duration duration) {
        const TimePoint end = now_ + duration;
        while (now_ < end) {
            queue_->advance(now_);
            now_ = std::min(end, std::max(queue_->next_due(now_), now_ + 1ms));
        }
        queue_->advance(now_);
    }

    TimePoint now_{std::chrono::hours(5)};
    FakeWire wire_;
    std::unique_ptr<QueryQueue> queue_;
    std::vector<std::string> results_;
};

TEST_F(QueryQueueTest, AnAnswerComesOnceAndTheDeadlineOtherwise) {
    make({});
    send(1);
    send(2);
    EXPECT_TRUE(wire_.sent.empty()) << "nothing happens within send()";
    queue_->advance(now_);
    ASSERT_EQ(wire_.sent.size(), 2U);
    queue_->on_reply(now_, wire_.sent[0].ticket, Reply());
    queue_->on_reply(now_, wire_.sent[0].ticket, Reply());
    queue_->on_reply(now_, 999, Reply());
    pass(1999ms);
    EXPECT_THAT(results_, ::testing::ElementsAre("ok"));
    pass(2ms);
    EXPECT_THAT(results_, ::testing::ElementsAre("ok", "timeout"));
    queue_->on_reply(now_, wire_.sent[1].ticket, Reply());
    EXPECT_EQ(results_.size(), 2U);
    EXPECT_EQ(queue_->stats().in_flight, 0U);
    EXPECT_EQ(queue_->stats().timeouts, 1U);
}

TEST_F(QueryQueueTest, NoAddressGetsMoreThanABanAllowsWhateverItsPorts) {
    make({});
    for (unsigned i = 0; i < 200; ++i) {
        now_ += 100ms;
        const Endpoint to = test_endpoint(7, static_cast<std::uint16_t>(1000 + i));
        queue_->send(now_, to, {}, Priority::kInteractive, [](TimePoint, const Result<Reply>&) {});
        queue_->advance(now_);
        pass(0ms);
    }
    // 20 s at 10 a second were asked for; libtorrent bans at 50 in 10 s, answers counted.
    EXPECT_LE(wire_.sent.size(), 4U + 20 * 4);
    EXPECT_GE(wire_.sent.size(), 60U);
    EXPECT_GT(queue_->stats().dropped, 0U);
}

TEST_F(QueryQueueTest, RoutineKeepsToTheRateAndInteractiveGoesFirst) {
    QueryLimits limits;
    limits.packets_per_second = 100;
    make(limits);
    for (unsigned i = 0; i < 300; ++i) send(i);
    pass(1s);
    EXPECT_NEAR(static_cast<double>(wire_.sent.size()), 100, 12);
    const std::size_t before = wire_.sent.size();
    send(5000, Priority::kInteractive);
    queue_->advance(now_);
    ASSERT_GT(wire_.sent.size(), before);
    EXPECT_EQ(wire_.sent[before].to, test_endpoint(5000));
}

TEST_F(QueryQueueTest, WhatIsOverTheBoundIsToldSo) {
    QueryLimits limits;
    limits.max_queued = 10;
    limits.packets_per_second = 1;
    make(limits);
    for (unsigned i = 0; i < 15; ++i) send(i);
    EXPECT_TRUE(results_.empty());
    queue_->advance(now_);
    EXPECT_THAT(results_, ::testing::Contains("limit").Times(5));
    EXPECT_FALSE(queue_->has_room());
}

}  // namespace
}  // namespace kollator::dht
