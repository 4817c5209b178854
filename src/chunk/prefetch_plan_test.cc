#include "chunk/prefetch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace kollator::chunk {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const TimePoint kStart{std::chrono::hours(1)};

ChunkId id_of(unsigned file, unsigned index) {
    std::array<std::uint8_t, 32> bytes{};
    bytes[0] = static_cast<std::uint8_t>(file);
    bytes[1] = static_cast<std::uint8_t>(index >> 8);
    bytes[2] = static_cast<std::uint8_t>(index);
    return ChunkId(bytes);
}

class PrefetchPlanTest : public testing::Test {
 protected:
    PrefetchPlanTest() { make({}); }
    void make(PrefetchPlan::Limits limits) {
        plan_ = std::make_unique<PrefetchPlan>(limits);
        plan_->learn(file(1, 100), 1000);
    }
    static std::vector<ChunkId> file(unsigned number, unsigned count) {
        std::vector<ChunkId> chunks;
        for (unsigned index = 0; index < count; ++index) chunks.push_back(id_of(number, index));
        return chunks;
    }
    bool at(PrefetchPlan::ReaderId reader, unsigned index, Duration when, unsigned number = 1) {
        return plan_->reader_at(reader, id_of(number, index), kStart + when);
    }
    /// All that is wished for now, which is on its way from then on: the places in the files.
    std::vector<unsigned> wishes(std::size_t limit = 1000) {
        std::vector<unsigned> places;
        while (places.size() < limit) {
            const auto wish =
                plan_->next([&](const ChunkId& id) { return !under_way_.contains(id); });
            if (!wish) break;
            under_way_.insert(wish->id);
            places.push_back(wish->id.bytes()[1] * 256U + wish->id.bytes()[2]);
        }
        return places;
    }

    std::unique_ptr<PrefetchPlan> plan_;
    std::set<ChunkId> under_way_;
};

TEST_F(PrefetchPlanTest, AReaderInOrderIsLookedAheadFor) {
    at(7, 10, {});
    EXPECT_THAT(wishes(), IsEmpty()) << "one request is no order";
    at(7, 11, milliseconds(500));
    EXPECT_THAT(wishes(), ElementsAre(12, 13)) << "100 ms of latency, 500 ms a chunk, and one more";
    at(7, 12, milliseconds(1000));
    EXPECT_THAT(wishes(), ElementsAre(14));
    EXPECT_THAT(wishes(), IsEmpty());
}

TEST_F(PrefetchPlanTest, WhoBeginsAFileIsTakenForAReaderOfIt) {
    at(7, 0, {});
    EXPECT_THAT(wishes(), ElementsAre(1, 2));
}

TEST_F(PrefetchPlanTest, TheDepthFollowsPaceAndLatencyUpToItsLimit) {
    plan_->note_latency(milliseconds(50));
    Duration now{};
    for (unsigned index = 0; index < 40; ++index) at(7, index, now += milliseconds(20));
    EXPECT_THAT(wishes(), ElementsAre(40, 41, 42, 43)) << "50 ms at 20 ms a chunk: three and one";
    for (unsigned index = 40; index < 60; ++index) at(7, index, now += milliseconds(1));
    EXPECT_EQ(wishes().size(), 8U) << "no more than the limit";
    for (unsigned index = 60; index < 90; ++index) at(7, index, now += seconds(3));
    under_way_.clear();
    EXPECT_EQ(wishes().size(), 2U) << "slow again";
}

TEST_F(PrefetchPlanTest, AUnevenStoreIsAskedEarlier) {
    for (int n = 0; n < 50; ++n) plan_->note_latency(milliseconds(n % 2 == 0 ? 10 : 190));
    Duration now{};
    for (unsigned index = 0; index < 40; ++index) at(7, index, now += milliseconds(100));
    EXPECT_EQ(wishes().size(), 4U) << "100 ms on average, with 90 ms of deviation";
}

TEST_F(PrefetchPlanTest, PipelinedRequestsThatOvertakeEachOtherAreInOrder) {
    for (const unsigned index : {20U, 22U, 21U, 23U, 20U}) EXPECT_FALSE(at(7, index, {}));
    EXPECT_EQ(wishes(1), std::vector<unsigned>{24});
    EXPECT_TRUE(plan_->wanted(id_of(1, 22))) << "it may come late";
}

TEST_F(PrefetchPlanTest, AJumpBeginsAnew) {
    at(7, 0, {});
    at(7, 1, milliseconds(100));
    EXPECT_TRUE(plan_->wanted(id_of(1, 2)));
    EXPECT_TRUE(at(7, 50, milliseconds(200)));
    EXPECT_THAT(wishes(), IsEmpty());
    EXPECT_FALSE(plan_->wanted(id_of(1, 2)));
    EXPECT_FALSE(at(7, 51, milliseconds(300)));
    EXPECT_EQ(wishes(1), std::vector<unsigned>{52});
}

TEST_F(PrefetchPlanTest, TheSameChunkInManyRangesIsNoProgress) {
    at(7, 10, {});
    for (int n = 1; n < 50; ++n) EXPECT_FALSE(at(7, 10, milliseconds(n)));
    EXPECT_THAT(wishes(), IsEmpty());
}

TEST_F(PrefetchPlanTest, ReadersTakeTurns) {
    plan_->learn(file(2, 100), 1000);
    Duration now{};
    for (unsigned index = 0; index < 10; ++index) {
        at(7, index, now += milliseconds(1));
        at(8, index, now, 2);
    }
    std::map<unsigned, int> by_file;
    for (int n = 0; n < 6; ++n) {
        const auto wish = plan_->next([&](const ChunkId& id) { return !under_way_.contains(id); });
        ASSERT_TRUE(wish);
        under_way_.insert(wish->id);
        ++by_file[wish->id.bytes()[0]];
    }
    EXPECT_EQ(by_file[1], 3);
    EXPECT_EQ(by_file[2], 3);
}

TEST_F(PrefetchPlanTest, WhoHasLeftOrFallenSilentWantsNothing) {
    at(7, 0, {});
    at(8, 0, seconds(20));
    EXPECT_TRUE(plan_->wanted(id_of(1, 1)));
    plan_->reader_left(8);
    EXPECT_TRUE(plan_->wanted(id_of(1, 1))) << "the other one does";
    EXPECT_FALSE(plan_->drop_silent(kStart + seconds(29)));
    EXPECT_TRUE(plan_->drop_silent(kStart + seconds(30)));
    EXPECT_FALSE(plan_->wanted(id_of(1, 1)));
    EXPECT_EQ(plan_->walks(), 0U);
    EXPECT_THAT(wishes(), IsEmpty());
}

TEST_F(PrefetchPlanTest, TheEndOfTheFileIsTheEnd) {
    for (unsigned index = 96; index < 99; ++index) at(7, index, {});
    EXPECT_THAT(wishes(), ElementsAre(99));
    at(7, 99, milliseconds(1));
    EXPECT_THAT(wishes(), IsEmpty());
}

TEST_F(PrefetchPlanTest, NamesAndWalksAreBounded) {
    make({.max_names = 250, .max_walks = 2});
    plan_->learn(file(2, 100), 1000);
    at(7, 0, {}, 1);
    plan_->learn(file(3, 100), 1000);
    EXPECT_EQ(plan_->names(), 200U) << "file 2, which nobody read, went for file 3";
    EXPECT_FALSE(plan_->wanted(id_of(2, 1)));
    at(8, 0, {}, 3);
    at(9, 0, {}, 3);
    EXPECT_EQ(plan_->walks(), 2U);
    plan_->learn(file(4, 100), 1000);
    EXPECT_EQ(plan_->names(), 200U) << "both have readers";
    plan_->learn(file(5, 251), 1000);
    EXPECT_EQ(plan_->names(), 200U);
}

TEST_F(PrefetchPlanTest, FilesThatShareTheirChunksAreBoundedToo) {
    make({.max_names = 1000});
    for (unsigned number = 2; number < 100; ++number) {
        std::vector<ChunkId> chunks = file(1, 99);
        chunks.push_back(id_of(number, 99));
        plan_->learn(chunks, 1000);
        ASSERT_LE(plan_->names(), 1000U);
    }
}

TEST_F(PrefetchPlanTest, LearningAFileAgainChangesNothing) {
    at(7, 0, {});
    plan_->learn(file(1, 100), 1000);
    EXPECT_EQ(plan_->names(), 100U);
    EXPECT_EQ(plan_->walks(), 1U);
}

TEST_F(PrefetchPlanTest, NoDepthIsNoPrefetch) {
    make({.depth = 0});
    at(7, 0, {});
    at(7, 1, {});
    EXPECT_THAT(wishes(), IsEmpty());
}

}  // namespace
}  // namespace kollator::chunk
