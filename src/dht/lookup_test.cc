#include "dht/lookup.h"

#include <gmock/gmock.h>

#include <optional>

#include "dht/node_health.h"
#include "dht/peer_finder.h"
#include "dht/testing.h"

namespace kollator::dht {
namespace {

using namespace std::chrono_literals;

/// Nodes that know each other: node i has the id that begins with i, and names all of them.
class LookupTest : public ::testing::Test {
 protected:
    LookupTest() : queue_(wire_, QueryLimits{.address_per_second = 1000}) {
        for (unsigned i = 1; i <= 20; ++i) {
            all_.push_back({test_id(static_cast<std::uint8_t>(i)), test_endpoint(i)});
        }
    }

    Reply reply_of(unsigned node) const {
        Reply reply;
        reply.id = test_id(static_cast<std::uint8_t>(node));
        reply.token = "token" + std::to_string(node);
        reply.nodes.assign(all_.begin(), all_.begin() + 8);
        return reply;
    }
    static unsigned node_of(const Endpoint& at) { return load_u16(at.address.data() + 2); }

    /// Answers what was sent, but for the dead; gives how many queries went out.
    std::size_t serve(Duration duration, const std::vector<unsigned>& dead = {},
                      const std::vector<Endpoint>& peers = {}) {
        const TimePoint end = now_ + duration;
        while (now_ < end) {
            tick();
            for (; answered_ < wire_.sent.size(); ++answered_) {
                const auto& sent = wire_.sent[answered_];
                const unsigned node = node_of(sent.to);
                if (std::find(dead.begin(), dead.end(), node) != dead.end()) continue;
                Reply reply = reply_of(node);
                reply.peers = peers;
                queue_.on_reply(now_, sent.ticket, std::move(reply));
            }
            now_ += 10ms;
        }
        return wire_.sent.size();
    }
    void tick() {
        queue_.advance(now_);
        if (lookup_) lookup_->advance(now_);
        if (finder_) finder_->advance(now_);
        queue_.advance(now_);
    }

    TimePoint now_{std::chrono::hours(5)};
    FakeWire wire_;
    QueryQueue queue_;
    std::vector<Contact> all_;
    std::size_t answered_ = 0;
    std::unique_ptr<Lookup> lookup_;
    std::unique_ptr<PeerFinder> finder_;
    std::optional<LookupOutcome> outcome_;
    InfoHash key_{};
};

TEST_F(LookupTest, GoesToTheNearestAndSkipsTheDead) {
    lookup_ = std::make_unique<Lookup>(
        queue_, key_, false, LookupOptions(), nullptr,
        [this](TimePoint, LookupOutcome outcome) { outcome_ = std::move(outcome); });
    lookup_->start(now_, {all_.begin() + 10, all_.end()});
    serve(3s, {2, 3});
    ASSERT_TRUE(outcome_);
    ASSERT_EQ(outcome_->closest.size(), kClosest);
    EXPECT_EQ(outcome_->closest[0].contact.at, test_endpoint(1));
    EXPECT_EQ(outcome_->closest[0].token, "token1");
    EXPECT_EQ(outcome_->closest[1].contact.at, test_endpoint(4));
    EXPECT_THAT(outcome_->dead, ::testing::ElementsAre(test_endpoint(2), test_endpoint(3)));
    EXPECT_LE(outcome_->queries, 16U);
}

TEST_F(LookupTest, AFloodOfNamesIsNotFollowedWithoutEnd) {
    LookupOptions options;
    lookup_ = std::make_unique<Lookup>(
        queue_, key_, false, options, nullptr,
        [this](TimePoint, LookupOutcome outcome) { outcome_ = std::move(outcome); });
    lookup_->start(now_, {all_[0]});
    // Each answer names 32 nodes that are nearer than all before; most never answer.
    std::uint8_t next = 200;
    unsigned address = 1000;
    for (int i = 0; i < 400; ++i) {
        tick();
        for (; answered_ < wire_.sent.size(); ++answered_) {
            if (answered_ % 3 == 1) continue;
            Reply reply;
            reply.id = test_id(--next);
            for (int j = 0; j < 32; ++j) {
                reply.nodes.push_back(
                    {test_id(0, static_cast<std::uint8_t>(j)), test_endpoint(++address)});
            }
            queue_.on_reply(now_, wire_.sent[answered_].ticket, std::move(reply));
        }
        now_ += 20ms;
    }
    ASSERT_TRUE(outcome_) << "it ends";
    EXPECT_LE(wire_.sent.size(), options.max_queries);
}

class PeerFinderTest : public LookupTest {
 protected:
    PeerFinderTest() {
        finder_ = std::make_unique<PeerFinder>(
            queue_,
            PeerFinderOptions{
                .max_active = 64,
                .on_answer = [this](Duration took,
                                    AnswerSource source) { answers_.emplace_back(took, source); }},
            [this](const InfoHash&, bool v6) { return v6 ? std::vector<Contact>() : seeds_; },
            nullptr);
        seeds_ = {all_.begin() + 10, all_.end()};
    }
    void find() {
        finder_->find(now_, key_, [this](TimePoint, Result<std::vector<Endpoint>> found) {
            found_.push_back(std::move(found));
        });
    }
    std::vector<Contact> seeds_;
    std::vector<Result<std::vector<Endpoint>>> found_;
    std::vector<std::pair<Duration, AnswerSource>> answers_;
    const Endpoint peer_ = test_endpoint(9999, 8081);
};

TEST_F(PeerFinderTest, ConcurrentOnesShareALookUpAndLaterOnesTheCache) {
    find();
    find();
    EXPECT_TRUE(found_.empty());
    serve(20ms, {}, {peer_});
    ASSERT_EQ(found_.size(), 2U) << "the first peers are answered as soon as they are known";
    EXPECT_THAT(*found_[0], ::testing::ElementsAre(peer_));
    serve(3s, {}, {peer_});
    const std::size_t queries = wire_.sent.size();
    find();
    serve(20ms);
    ASSERT_EQ(found_.size(), 3U);
    EXPECT_EQ(wire_.sent.size(), queries);
    EXPECT_EQ(finder_->stats().shared, 1U);
    EXPECT_EQ(finder_->stats().cached, 1U);
    EXPECT_EQ(finder_->stats().lookups, 1U);
    now_ += 61s;
    find();
    serve(20ms, {}, {peer_});
    EXPECT_GT(wire_.sent.size(), queries) << "the cache forgets";
}

TEST_F(PeerFinderTest, ThatNobodyAnswersOrIsKnownIsAnErrorInTime) {
    std::vector<unsigned> dead;
    for (unsigned i = 1; i <= 20; ++i) dead.push_back(i);
    find();
    serve(5s, dead);
    ASSERT_EQ(found_.size(), 1U);
    EXPECT_EQ(found_[0].error().code, ErrorCode::kTimeout);
    EXPECT_EQ(finder_->stats().unanswered, 1U);
    EXPECT_EQ(finder_->stats().active, 0U);

    seeds_.clear();
    key_ = InfoHash(test_id(99).bytes());
    find();
    tick();
    ASSERT_EQ(found_.size(), 2U);
    EXPECT_EQ(found_[1].error().code, ErrorCode::kUnavailable);
}

TEST_F(PeerFinderTest, TooManyAtOnceAreToldToComeBack) {
    for (unsigned i = 0; i < 70; ++i) {
        key_ = InfoHash(test_id(static_cast<std::uint8_t>(i), 77).bytes());
        find();
    }
    tick();
    EXPECT_EQ(found_.size(), 6U);
    for (const auto& found : found_) EXPECT_EQ(found.error().code, ErrorCode::kLimit);
    serve(6s);
    EXPECT_EQ(found_.size(), 70U);
    EXPECT_EQ(finder_->stats().active, 0U);
}

TEST_F(PeerFinderTest, WithoutARecordOfItsOwnTheShardsPeersAreGiven) {
    const InfoHash shard(test_id(50).bytes());
    bool own_has = false;
    const auto ask = [&](Duration patience) {
        std::optional<Result<std::vector<Endpoint>>> found;
        finder_->find_either(
            now_, key_, shard,
            [&](TimePoint, Result<std::vector<Endpoint>> peers) { found = std::move(peers); });
        const TimePoint end = now_ + patience;
        while (now_ < end && !found) {
            tick();
            for (; answered_ < wire_.sent.size(); ++answered_) {
                const auto& sent = wire_.sent[answered_];
                Reply reply = reply_of(node_of(sent.to));
                if (sent.query.target == shard) reply.peers = {test_endpoint(8888, 1)};
                if (sent.query.target == key_ && own_has) reply.peers = {peer_};
                queue_.on_reply(now_, sent.ticket, std::move(reply));
            }
            now_ += 10ms;
        }
        return found;
    };
    auto found = ask(3s);
    ASSERT_TRUE(found && found->ok());
    EXPECT_THAT(**found, ::testing::ElementsAre(test_endpoint(8888, 1)));
    own_has = true;
    key_ = InfoHash(test_id(51).bytes());
    found = ask(3s);
    ASSERT_TRUE(found && found->ok());
    EXPECT_THAT(**found, ::testing::ElementsAre(peer_)) << "its own record comes first";

    ASSERT_EQ(answers_.size(), 2U);
    EXPECT_EQ(answers_[0].second, AnswerSource::kNetwork);
    EXPECT_GE(answers_[0].first, Duration(10ms));
    ask(3s);
    ASSERT_EQ(answers_.size(), 3U);
    EXPECT_EQ(answers_[2].second, AnswerSource::kCache);
    EXPECT_LE(answers_[2].first, Duration(10ms));
}

TEST_F(LookupTest, HealthKnowsTheGoodTheStaleAndTheSizeOfTheNetwork) {
    NodeHealth health(now_, queue_);
    health.set_contacts(all_);
    std::size_t seen = 0;
    for (int i = 0; i < 100; ++i) {
        health.advance(now_);
        queue_.advance(now_);
        for (; seen < wire_.sent.size(); ++seen) {
            if (node_of(wire_.sent[seen].to) > 15) continue;
            queue_.on_reply(now_ + 30ms, wire_.sent[seen].ticket, reply_of(1));
        }
        now_ += 1s;
    }
    auto report = health.report(now_);
    EXPECT_EQ(report.good, 15U);
    EXPECT_EQ(report.stale, 5U);
    EXPECT_EQ(report.rtt_median, Duration(30ms));
    EXPECT_FALSE(report.lost);
    now_ += 5min;
    EXPECT_TRUE(health.report(now_).lost);
    EXPECT_TRUE(health.take_lost(now_));
    EXPECT_FALSE(health.take_lost(now_)) << "once";

    LookupOutcome outcome;
    for (unsigned i = 1; i <= 8; ++i) {
        outcome.closest.push_back({{test_id(static_cast<std::uint8_t>(8 * i)), {}}, ""});
    }
    health.on_lookup(key_, outcome);
    // The eighth is a quarter of the key space away: 7 / (64 / 256).
    EXPECT_NEAR(health.report(now_).network_size, 28, 0.1);
}

}  // namespace
}  // namespace kollator::dht
