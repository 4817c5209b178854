#include "store/journal/backlog.h"

#include <gtest/gtest.h>

namespace kollator::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ObjectKey key_of(std::uint8_t first_byte, ObjectKind kind = ObjectKind::kChunk) {
    ObjectKey key{ChunkId()};
    key.kind = kind;
    key.hash[0] = first_byte;
    return key;
}

class BacklogTest : public testing::Test {
 protected:
    std::uint64_t add(const ObjectKey& key, std::uint64_t size_bytes = 100) {
        EXPECT_TRUE(made_->reserve(size_bytes));
        const std::uint64_t number = made_->next_number();
        made_->add({{number, key}, size_bytes, {}, 0});
        return number;
    }
    std::uint64_t next() {
        const auto file = made_->next(now_);
        return file ? file->name.number : 0;
    }
    void make(const BacklogOptions& options) { made_.emplace(random_, options); }

    SeededRandom random_{1};
    TimePoint now_{seconds(1000)};
    std::optional<Backlog> made_{std::in_place, random_, BacklogOptions{}};
};

TEST_F(BacklogTest, SendsTheOldestFirst) {
    const auto first = add(key_of(9));
    const auto second = add(key_of(1));
    const auto third = add(key_of(5));
    EXPECT_EQ(next(), first);
    EXPECT_EQ(next(), second);
    EXPECT_EQ(next(), third);
    EXPECT_EQ(next(), 0U);
    EXPECT_EQ(made_->sending_count(), 3U);
}

TEST_F(BacklogTest, NumbersGoOnAfterWhatARestartFound) {
    made_->restore({{41, key_of(1)}, 100, {}, 0});
    EXPECT_EQ(made_->next_number(), 42U);
}

TEST_F(BacklogTest, SendsNothingThatIsWithheld) {
    const auto denied = add(key_of(1));
    const auto other = add(key_of(2));
    made_->withhold([](const ObjectKey& key) { return key == key_of(1); });
    EXPECT_EQ(made_->withheld_count(), 1U);
    EXPECT_EQ(next(), other);
    EXPECT_EQ(next(), 0U);
    EXPECT_FALSE(made_->next_time(now_)) << "nothing to wait for but another filter";
    EXPECT_TRUE(made_->find(key_of(1)));
    EXPECT_TRUE(made_->sent(other));
    EXPECT_FALSE(made_->oldest_ns()) << "what is not to be sent is not late";
    made_->withhold(nullptr);
    EXPECT_EQ(next(), denied);
}

TEST_F(BacklogTest, PutsBackWithoutAFailure) {
    const auto number = add(key_of(1));
    EXPECT_EQ(next(), number);
    made_->put_back(number);
    EXPECT_EQ(made_->sending_count(), 0U);
    EXPECT_EQ(next(), number) << "at once: there is no pause";
}

TEST_F(BacklogTest, BoundsWhatIsOnItsWayByCountAndBytes) {
    make({.max_sending = 2, .max_sending_bytes = 1000});
    const auto large = add(key_of(1), 5000);
    const auto second = add(key_of(2), 600);
    const auto third = add(key_of(3), 600);
    EXPECT_EQ(next(), large);  // one may always go
    EXPECT_EQ(next(), 0U);
    EXPECT_TRUE(made_->sent(large));
    EXPECT_EQ(next(), second);
    EXPECT_EQ(next(), 0U);
    EXPECT_TRUE(made_->sent(second));
    EXPECT_EQ(next(), third);
}

TEST_F(BacklogTest, TakesRoomInWholeBlocksUntilTheFileIsGone) {
    make({.max_bytes = 3 * 4096});
    const auto first = add(key_of(1), 1);
    const auto second = add(key_of(2), 4096);  // with its digest two blocks
    EXPECT_FALSE(made_->reserve(1));
    EXPECT_EQ(next(), first);
    EXPECT_TRUE(made_->sent(first));
    EXPECT_FALSE(made_->reserve(1));
    made_->release(1);
    EXPECT_TRUE(made_->reserve(1));
    EXPECT_EQ(made_->used_bytes(), made_->max_bytes());
    EXPECT_EQ(made_->count(), 1U);
    EXPECT_EQ(next(), second);
}

TEST_F(BacklogTest, ARestartIsNeverRefused) {
    make({.max_bytes = 4096});
    made_->restore({{1, key_of(1)}, 100'000, {}, 7});
    made_->restore({{2, key_of(2)}, 100'000, {}, 8});
    EXPECT_FALSE(made_->reserve(1));
    EXPECT_EQ(made_->count(), 2U);
    EXPECT_EQ(made_->oldest_ns(), 7);
}

TEST_F(BacklogTest, AFailurePausesAllAndThenOneIsTriedAtATime) {
    const auto first = add(key_of(1));
    const auto second = add(key_of(2));
    const auto third = add(key_of(3));
    EXPECT_EQ(next(), first);
    EXPECT_EQ(next(), second);
    made_->failed(first, now_);
    made_->failed(second, now_);  // they fail together: one pause
    EXPECT_EQ(next(), 0U);
    const auto when = made_->next_time(now_);
    ASSERT_TRUE(when);
    EXPECT_GE(*when - now_, milliseconds(500));
    EXPECT_LE(*when - now_, seconds(1));
    now_ += seconds(1);
    const auto tried = next();
    EXPECT_NE(tried, 0U);
    EXPECT_EQ(next(), 0U);
    EXPECT_TRUE(made_->sent(tried));
    EXPECT_NE(next(), 0U);
    EXPECT_NE(next(), 0U);
    EXPECT_EQ(next(), 0U);
    (void)third;
}

TEST_F(BacklogTest, PausesGrowToTheLongestAndNeverEnd) {
    const auto only = add(key_of(1));
    Duration longest{};
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(next(), only) << i;
        made_->failed(only, now_);
        const auto when = made_->next_time(now_);
        ASSERT_TRUE(when);
        longest = std::max(longest, Duration(*when - now_));
        now_ = *when;
    }
    EXPECT_LE(longest, seconds(60));
    EXPECT_GT(longest, seconds(45));
    EXPECT_EQ(next(), only);
    EXPECT_TRUE(made_->sent(only));
}

TEST_F(BacklogTest, OneThatIsNeverTakenDoesNotStopThoseBehindIt) {
    const auto refused = add(key_of(1));
    for (std::uint8_t i = 2; i < 30; ++i) add(key_of(i));
    std::size_t sent = 0;
    const TimePoint end = now_ + seconds(300);
    while (sent < 28 && now_ < end) {
        const auto number = next();
        if (number == 0) {
            now_ = std::max(now_ + milliseconds(1), made_->next_time(now_).value_or(now_));
        } else if (number == refused) {
            made_->failed(number, now_);
        } else {
            EXPECT_TRUE(made_->sent(number));
            ++sent;
        }
    }
    EXPECT_EQ(sent, 28U);
    EXPECT_NE(made_->find(key_of(1)), nullptr);
}

TEST_F(BacklogTest, HurryEndsThePauses) {
    const auto only = add(key_of(1));
    EXPECT_EQ(next(), only);
    made_->failed(only, now_);
    EXPECT_EQ(next(), 0U);
    made_->hurry();
    EXPECT_EQ(next(), only);
}

TEST_F(BacklogTest, ANewerVersionWaitsForTheOlderOneThatIsOnItsWay) {
    const ObjectKey key = key_of(1, ObjectKind::kTorrent);
    const auto older = add(key, 5000);
    EXPECT_EQ(next(), older);
    const auto newer = add(key, 100);
    EXPECT_EQ(made_->count(), 1U);
    EXPECT_EQ(made_->find(key)->file.name.number, newer);
    EXPECT_EQ(made_->used_bytes(), Backlog::charge_of(100));
    EXPECT_EQ(next(), 0U);
    EXPECT_FALSE(made_->sent(older)) << "its file went when the newer one was written";
    EXPECT_EQ(next(), newer);
    EXPECT_TRUE(made_->sent(newer));
    EXPECT_EQ(made_->find(key), nullptr);
}

TEST_F(BacklogTest, ANewerVersionReplacesOneThatWaits) {
    const ObjectKey key = key_of(1, ObjectKind::kTorrent);
    add(key);
    const auto newer = add(key);
    EXPECT_EQ(next(), newer);
    EXPECT_EQ(next(), 0U);
}

TEST_F(BacklogTest, AReplacedOneThatFailsIsNotTriedAgain) {
    const ObjectKey key = key_of(1, ObjectKind::kTorrent);
    const auto older = add(key);
    EXPECT_EQ(next(), older);
    const auto newer = add(key);
    made_->failed(older, now_);
    now_ += seconds(100);
    EXPECT_EQ(next(), newer);
    EXPECT_EQ(made_->count(), 1U);
}

TEST_F(BacklogTest, HoldsBackWhatIsBeingRemoved) {
    const auto held = add(key_of(1));
    const auto other = add(key_of(2));
    made_->hold(key_of(1), true);
    EXPECT_EQ(next(), other);
    EXPECT_EQ(next(), 0U);
    EXPECT_FALSE(made_->next_time(now_));
    made_->hold(key_of(1), false);
    EXPECT_EQ(next(), held);
}

TEST_F(BacklogTest, ListsOneKindInOrder) {
    add(key_of(3));
    add(key_of(1));
    add(key_of(2, ObjectKind::kTorrent));
    add(key_of(7), 77);
    const auto chunks = made_->list(ObjectKind::kChunk, key_of(1).hash, 10);
    ASSERT_EQ(chunks.size(), 2U);
    EXPECT_EQ(chunks[0].hash[0], 3);
    EXPECT_EQ(chunks[1].hash[0], 7);
    EXPECT_EQ(chunks[1].size_bytes, 77U);
    EXPECT_EQ(made_->list(ObjectKind::kChunk, {}, 1).size(), 1U);
    EXPECT_EQ(made_->list(ObjectKind::kTorrent, {}, 10).size(), 1U);
}

}  // namespace
}  // namespace kollator::store
