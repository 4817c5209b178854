// Who owns a chunk, who is worth asking, and what a front's list says.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "cluster/front_list.h"
#include "cluster/patience.h"
#include "cluster/rendezvous.h"

namespace kollator::cluster {
namespace {

using std::chrono::seconds;

std::vector<ChunkId> random_chunks(std::size_t count) {
    SeededRandom random(11);
    std::vector<ChunkId> chunks;
    for (std::size_t i = 0; i < count; ++i) {
        std::array<std::uint8_t, 32> bytes{};
        random.fill(bytes);
        chunks.emplace_back(bytes);
    }
    return chunks;
}

class RendezvousTest : public ::testing::Test {
 protected:
    std::string owner(const ChunkId& chunk, const std::vector<std::string_view>& workers) const {
        const auto index = rendezvous.owner(chunk, workers);
        return index ? std::string(workers[*index]) : "";
    }

    const crypto::SharedKey key{1, 2, 3};
    const Rendezvous rendezvous{key};
};

TEST_F(RendezvousTest, EachWorkerOwnsItsShare) {
    std::map<std::string, int> shares;
    for (const ChunkId& chunk : random_chunks(3000)) ++shares[owner(chunk, {"a", "b", "c"})];
    for (const auto& [id, share] : shares) EXPECT_NEAR(share, 1000, 120) << id;
    EXPECT_EQ(shares.size(), 3U);
}

TEST_F(RendezvousTest, AllAgreeWhateverTheirOrder) {
    for (const ChunkId& chunk : random_chunks(200)) {
        const std::string first = owner(chunk, {"a", "b", "c"});
        EXPECT_EQ(owner(chunk, {"c", "a", "b"}), first);
        EXPECT_EQ(owner(chunk, {"b", "c", "a"}), first);
    }
}

TEST_F(RendezvousTest, WhenAWorkerGoesOnlyItsChunksMove) {
    for (const ChunkId& chunk : random_chunks(500)) {
        const std::string before = owner(chunk, {"a", "b", "c", "d"});
        const std::string after = owner(chunk, {"a", "b", "d"});
        if (before != "c") {
            EXPECT_EQ(after, before);
        } else {
            EXPECT_NE(after, "c");
        }
    }
}

TEST_F(RendezvousTest, AChainOfWorkersWithDifferentViewsNeverComesBack) {
    const std::vector<std::vector<std::string_view>> views = {
        {"a", "b"}, {"b", "c"}, {"c", "a"}, {"a", "b", "c"}};
    for (const ChunkId& chunk : random_chunks(500)) {
        // Each asks the owner of its own view, which then has another view, and so on.
        std::string at = "a";
        for (int hop = 0; hop < 4; ++hop) {
            for (const auto& view : views) {
                if (std::find(view.begin(), view.end(), at) == view.end()) continue;
                const std::string next = owner(chunk, view);
                EXPECT_GE(rendezvous.weight(chunk, next), rendezvous.weight(chunk, at));
                at = next;
            }
        }
    }
}

TEST_F(RendezvousTest, AnotherKeyGivesOtherOwners) {
    const Rendezvous other(crypto::SharedKey{9});
    int moved = 0;
    const std::vector<std::string_view> workers = {"a", "b", "c"};
    for (const ChunkId& chunk : random_chunks(300)) {
        moved += other.owner(chunk, workers) != rendezvous.owner(chunk, workers) ? 1 : 0;
    }
    EXPECT_GT(moved, 100);
}

TEST_F(RendezvousTest, WithoutWorkersNobodyOwns) {
    EXPECT_FALSE(rendezvous.owner(ChunkId(), {}).has_value());
}

TEST(Patience, ThreeTimeoutsInARowAreEnoughAndTheRestGrows) {
    ManualClock clock;
    Patience patience;
    for (const seconds rest :
         {seconds(5), seconds(10), seconds(20), seconds(40), seconds(60), seconds(60)}) {
        patience.timed_out(clock.now());
        patience.timed_out(clock.now());
        EXPECT_TRUE(patience.usable(clock.now()));
        patience.timed_out(clock.now());
        EXPECT_FALSE(patience.usable(clock.now()));
        clock.advance(rest - std::chrono::milliseconds(1));
        EXPECT_FALSE(patience.usable(clock.now()));
        clock.advance(std::chrono::milliseconds(1));
        EXPECT_TRUE(patience.usable(clock.now()));
    }
}

TEST(Patience, AnAnswerForgivesAllTimeouts) {
    ManualClock clock;
    Patience patience;
    for (int i = 0; i < 10; ++i) {
        patience.timed_out(clock.now());
        patience.timed_out(clock.now());
        patience.answered();
    }
    EXPECT_TRUE(patience.usable(clock.now()));
}

TEST(Patience, WrongBytesAreEnoughAtOnce) {
    ManualClock clock;
    Patience patience;
    patience.was_corrupt(clock.now());
    EXPECT_FALSE(patience.usable(clock.now()));
    clock.advance(seconds(60));
    EXPECT_TRUE(patience.usable(clock.now()));
}

TEST(FrontList, IsReadAsAFrontWritesIt) {
    const auto workers = parse_workers(
        R"([{"id":"w1","url":"http://10.0.0.1:8081","connections":3,"draining":false},)"
        R"({"id":"w2","url":"","draining":true},{"id":"a:b","url":"x"},{"url":"y"},7])");
    ASSERT_TRUE(workers.ok()) << workers.error().detail;
    const std::vector<ListedWorker> expected = {{"w1", "http://10.0.0.1:8081", false},
                                                {"w2", "", true}};
    EXPECT_EQ(*workers, expected);
}

TEST(FrontList, WhatIsNoListIsRefused) {
    for (const char* text : {"", "{}", "[", "7", "<html>"}) {
        EXPECT_FALSE(parse_workers(text).ok()) << text;
    }
}

TEST(FrontList, OfAHugeListOnlyTheFirstAreTaken) {
    std::string text = "[";
    for (int i = 0; i < 2000; ++i) text += "{\"id\":\"w" + std::to_string(i) + "\"},";
    text.back() = ']';
    const auto workers = parse_workers(text);
    ASSERT_TRUE(workers.ok());
    EXPECT_EQ(workers->size(), kMaxListedWorkers);
}

}  // namespace
}  // namespace kollator::cluster
