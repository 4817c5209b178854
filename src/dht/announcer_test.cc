#include "dht/announcer.h"

#include <gmock/gmock.h>

#include <set>

#include "crypto/hash.h"
#include "dht/testing.h"

namespace kollator::dht {
namespace {

using namespace std::chrono_literals;

InfoHash key_of(unsigned number) {
    return InfoHash(crypto::sha1(as_bytes(std::to_string(number))));
}

/// Twelve nodes that answer everything at once, unless told otherwise.
class AnnouncerTest : public ::testing::Test {
 protected:
    AnnouncerTest() : queue_(wire_, QueryLimits{.count_ports = true}) {
        for (unsigned i = 1; i <= 12; ++i) {
            nodes_.push_back({test_id(static_cast<std::uint8_t>(i * 20)), test_endpoint(i)});
        }
        make({});
    }
    void make(AnnouncerOptions options) {
        options.port = 8081;
        announcer_ = std::make_unique<Announcer>(
            queue_, random_, options, [this](const InfoHash&) { return joined_ ? nodes_ : none_; });
    }
    void run(Duration duration) {
        const TimePoint end = now_ + duration;
        while (now_ < end) {
            queue_.advance(now_);
            announcer_->advance(now_);
            queue_.advance(now_);
            for (const auto& sent : std::exchange(wire_.sent, {})) answer(sent);
            now_ = std::min(end, std::max(now_ + 5ms, std::min(queue_.next_due(now_),
                                                               announcer_->next_due(now_))));
        }
    }
    void answer(const FakeWire::Sent& sent) {
        if (silent_) return;
        ++queries_;
        Reply reply;
        reply.id = nodes_[load_u16(sent.to.address.data() + 2) - 1U].id;
        if (sent.query.kind == QueryKind::kGetPeers) {
            reply.nodes = nodes_;
            reply.token = "t" + sent.query.target.hex().substr(0, 6);
        } else if (sent.query.kind == QueryKind::kAnnouncePeer) {
            EXPECT_EQ(sent.query.port, 8081);
            if (sent.query.token != "t" + sent.query.target.hex().substr(0, 6)) {
                return queue_.on_reply(now_, sent.ticket, make_error(ErrorCode::kInvalid, "token"));
            }
            order_.push_back(sent.query.target);
            ++announced_[sent.query.target];
        }
        queue_.on_reply(now_, sent.ticket, std::move(reply));
    }

    TimePoint now_{std::chrono::hours(5)};
    FakeWire wire_;
    QueryQueue queue_;
    SeededRandom random_{3};
    std::vector<Contact> nodes_;
    const std::vector<Contact> none_;
    bool joined_ = true;
    bool silent_ = false;
    std::size_t queries_ = 0;
    std::vector<InfoHash> order_;
    std::map<InfoHash, unsigned> announced_;
    std::unique_ptr<Announcer> announcer_;
};

TEST_F(AnnouncerTest, EveryKeyIsAnnouncedToEightNodesAndAgainWithinThePeriod) {
    for (unsigned i = 0; i < 50; ++i) EXPECT_TRUE(announcer_->add(now_, key_of(i), When::kSpread));
    run(25min);
    for (unsigned i = 0; i < 50; ++i) EXPECT_GE(announced_[key_of(i)], 8U) << i;
    announced_.clear();
    queries_ = 0;
    run(25min);
    for (unsigned i = 0; i < 50; ++i) EXPECT_GE(announced_[key_of(i)], 8U) << i;
    const AnnouncerStats stats = announcer_->stats(now_);
    EXPECT_EQ(stats.late, 0U);
    EXPECT_LE(stats.oldest, Duration(25min));
    EXPECT_EQ(stats.refused, 0U) << "tokens are fresh, and each key's own";
    // Remembered: 8 tokens and 8 announcements, each 25 minutes less a margin of 1 to 3.5.
    EXPECT_LE(queries_, 50U * 16 * 12 / 10);
}

TEST_F(AnnouncerTest, TheUrgentGoFirst) {
    AnnouncerOptions options;
    options.max_runs = 1;
    make(options);
    for (unsigned i = 0; i < 20; ++i) announcer_->add(now_, key_of(i), When::kSoon);
    announcer_->add(now_, key_of(100), When::kUrgent);
    announcer_->add(now_, key_of(19), When::kUrgent);
    run(10s);
    ASSERT_GE(order_.size(), 24U);
    EXPECT_EQ(order_[0], key_of(100));
    EXPECT_EQ(order_[8], key_of(19));
    EXPECT_EQ(order_[16], key_of(0));
}

TEST_F(AnnouncerTest, WhatIsRemovedIsAnnouncedNoMoreEvenWhileItRuns) {
    for (unsigned i = 0; i < 10; ++i) announcer_->add(now_, key_of(i), When::kSoon);
    silent_ = true;
    run(50ms);  // under way
    EXPECT_EQ(announcer_->stats(now_).running, 10U);
    announcer_->remove(key_of(3));
    announcer_->remove(key_of(3));
    silent_ = false;
    run(60min);
    EXPECT_EQ(announced_.count(key_of(3)), 0U);
    EXPECT_GE(announced_[key_of(4)], 8U);
    EXPECT_EQ(announcer_->stats(now_).keys, 9U);
    for (unsigned i = 0; i < 10; ++i) announcer_->remove(key_of(i));
    announced_.clear();
    run(60min);
    EXPECT_TRUE(announced_.empty());
    EXPECT_EQ(announcer_->next_due(now_), TimePoint::max());
}

TEST_F(AnnouncerTest, WithoutANetworkItWaitsAndSaysWhatIsLate) {
    joined_ = false;
    for (unsigned i = 0; i < 10; ++i) announcer_->add(now_, key_of(i), When::kSoon);
    run(24min);
    EXPECT_EQ(announcer_->stats(now_).late, 0U);
    run(2min);
    AnnouncerStats stats = announcer_->stats(now_);
    EXPECT_EQ(stats.late, 10U);
    EXPECT_EQ(stats.due, 10U);
    EXPECT_GE(stats.oldest, Duration(26min - 1s));
    joined_ = true;
    run(10s);
    stats = announcer_->stats(now_);
    EXPECT_EQ(stats.late, 0U);
    EXPECT_EQ(stats.announced, 10U);
}

TEST_F(AnnouncerTest, ARunThatNobodyAcknowledgesIsTriedAgainMoreAndMoreSeldom) {
    announcer_->add(now_, key_of(1), When::kSoon);
    silent_ = true;
    run(10min);
    const std::uint64_t failed = announcer_->stats(now_).failed;
    EXPECT_GE(failed, 3U);
    EXPECT_LE(failed, 8U);
    silent_ = false;
    run(10min);
    EXPECT_EQ(announcer_->stats(now_).announced, 1U);
}

TEST_F(AnnouncerTest, AllCanBeHurriedAndThereIsABound) {
    AnnouncerOptions options;
    options.max_keys = 100;
    make(options);
    for (unsigned i = 0; i < 100; ++i) EXPECT_TRUE(announcer_->add(now_, key_of(i), When::kSpread));
    EXPECT_FALSE(announcer_->add(now_, key_of(100), When::kUrgent));
    EXPECT_EQ(announcer_->hurry_all(now_), 100U);
    run(5min);  // twelve nodes take 48 messages a second
    EXPECT_EQ(announced_.size(), 100U);
}

}  // namespace
}  // namespace kollator::dht
