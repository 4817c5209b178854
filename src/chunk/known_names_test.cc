#include "chunk/known_names.h"

#include <gtest/gtest.h>

namespace kollator::chunk {
namespace {

store::ObjectKey key_of(std::uint8_t number) {
    std::array<std::uint8_t, 32> bytes{};
    bytes[0] = number;
    return store::ObjectKey(ChunkId(bytes));
}

constexpr Duration kAge = std::chrono::minutes(1);

TEST(KnownStored, ForgetsTheLeastRecentlyUsed) {
    const ManualClock clock;
    KnownStored known(clock, 3);
    for (std::uint8_t i = 0; i < 3; ++i) known.note(key_of(i), 100 + i);
    EXPECT_EQ(known.find(key_of(0), kAge), 100U);
    known.note(key_of(1), 500);
    known.note(key_of(3), 103);
    EXPECT_FALSE(known.find(key_of(2), kAge));
    EXPECT_EQ(known.find(key_of(1), kAge), 500U);
    EXPECT_EQ(known.count(), 3U);
    known.forget(key_of(1));
    known.forget(key_of(9));
    EXPECT_FALSE(known.find(key_of(1), kAge));
}

TEST(KnownStored, TellsTheKindsApart) {
    const ManualClock clock;
    KnownStored known(clock, 3);
    known.note(store::ObjectKey(ChunkId()), 1);
    EXPECT_FALSE(known.find(store::ObjectKey(MetadataId()), kAge));
}

TEST(KnownStored, TrustsWhatItSawOnlyForAsLongAsTheCallerDoes) {
    ManualClock clock;
    KnownStored known(clock, 3);
    known.note(key_of(1), 100);
    clock.advance(kAge - std::chrono::milliseconds(1));
    EXPECT_EQ(known.find(key_of(1), kAge), 100U);
    clock.advance(std::chrono::milliseconds(1));
    EXPECT_FALSE(known.find(key_of(1), kAge)) << "being asked for is not being seen";
    EXPECT_EQ(known.find(key_of(1), 2 * kAge), 100U);
    known.note(key_of(1), 100);
    EXPECT_EQ(known.find(key_of(1), kAge), 100U);
}

TEST(KnownMissing, RemembersForItsTimeOnly) {
    ManualClock clock;
    KnownMissing missing(10, std::chrono::seconds(2));
    missing.note(key_of(1), clock.now());
    clock.advance(std::chrono::milliseconds(1999));
    EXPECT_TRUE(missing.contains(key_of(1), clock.now()));
    clock.advance(std::chrono::milliseconds(1));
    EXPECT_FALSE(missing.contains(key_of(1), clock.now()));
    missing.note(key_of(1), clock.now());
    missing.forget(key_of(1));
    EXPECT_FALSE(missing.contains(key_of(1), clock.now()));
}

TEST(KnownMissing, StaysWithinItsBoundHoweverOftenNamesAreNoted) {
    ManualClock clock;
    KnownMissing missing(10, std::chrono::seconds(2));
    for (int round = 0; round < 1000; ++round) {
        missing.note(key_of(static_cast<std::uint8_t>(round * 7)), clock.now());
        if (round % 3 == 0) missing.forget(key_of(static_cast<std::uint8_t>(round * 7)));
        EXPECT_LE(missing.count(), 10U);
    }
    EXPECT_TRUE(missing.contains(key_of(static_cast<std::uint8_t>(998 * 7)), clock.now()));
}

}  // namespace
}  // namespace kollator::chunk
