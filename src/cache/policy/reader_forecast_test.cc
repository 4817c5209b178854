#include "cache/policy/reader_forecast.h"

#include <vector>

#include "gmock/gmock.h"

namespace kollator::cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<PolicyKey> kFile = {10, 11, 12, 13, 14, 15};
const TimePoint kStart = TimePoint{} + std::chrono::hours(1);

ReaderForecast forecast_with_file(ReaderForecast::Limits limits = {}) {
    ReaderForecast forecast(limits);
    forecast.learn(1, kFile);
    return forecast;
}

TEST(ReaderForecastTest, AReaderComesToTheNextChunksAtItsPace) {
    auto forecast = forecast_with_file();
    forecast.move(7, 10, kStart);
    // The pace is a mean: after many equal steps it is the step.
    for (std::uint32_t lap = 1; lap < 200; ++lap) {
        forecast.move(7, 10 + lap % 2, kStart + lap * seconds(1));
    }
    const TimePoint now = kStart + 199 * seconds(1);
    ASSERT_TRUE(forecast.next_use(13));
    EXPECT_NEAR(std::chrono::duration<double>(*forecast.next_use(13) - now).count(), 2.0, 0.01);
}

TEST(ReaderForecastTest, NobodyComesToWhatIsBehindAllReaders) {
    auto forecast = forecast_with_file();
    forecast.move(7, 12, kStart);
    EXPECT_EQ(forecast.next_use(10), std::nullopt);
    EXPECT_EQ(forecast.next_use(12), std::nullopt) << "the reader has it";
    EXPECT_NE(forecast.next_use(13), std::nullopt);
    EXPECT_EQ(forecast.next_use(999), std::nullopt) << "of no file";
}

TEST(ReaderForecastTest, TheNearestReaderCounts) {
    auto forecast = forecast_with_file();
    forecast.move(7, 10, kStart);
    const TimePoint far = *forecast.next_use(15);
    forecast.move(8, 14, kStart);
    EXPECT_LT(*forecast.next_use(15), far);
    EXPECT_LT(*forecast.next_use(13), far) << "still the first reader's";
}

TEST(ReaderForecastTest, SaysWhichForecastsAMoveChanges) {
    auto forecast = forecast_with_file();
    EXPECT_THAT(forecast.move(7, 13, kStart), ElementsAre(14, 15));
    EXPECT_THAT(forecast.move(8, 10, kStart), ElementsAre(11, 12, 13));
    EXPECT_THAT(forecast.move(8, 12, kStart), ElementsAre(10, 11, 12));
    EXPECT_THAT(forecast.move(8, 11, kStart), ElementsAre(12, 13)) << "it went back";
    EXPECT_THAT(*forecast.leave(7), ElementsAre(14, 15));
    EXPECT_EQ(forecast.leave(7), std::nullopt);
}

TEST(ReaderForecastTest, IgnoresPlacesThatAreNotThere) {
    auto forecast = forecast_with_file();
    EXPECT_THAT(forecast.move(7, 99, kStart), IsEmpty());
    EXPECT_EQ(forecast.walks(), 0U);
}

// With kShortHistory, ten readers in ten minutes are one in two minutes.
TEST(ReaderForecastTest, AFileThatIsBegunOftenIsExpectedSooner) {
    auto forecast = forecast_with_file();
    const std::vector<PolicyKey> other = {20, 21};
    forecast.learn(2, other);
    EXPECT_EQ(forecast.usual_wait(10, kStart), std::nullopt);
    for (ReaderId reader = 0; reader < 10; ++reader) {
        forecast.move(reader, 10, kStart + reader * seconds(60));
    }
    forecast.move(100, 20, kStart);
    const TimePoint now = kStart + seconds(600);
    ASSERT_TRUE(forecast.usual_wait(10, now) && forecast.usual_wait(20, now));
    EXPECT_NEAR(std::chrono::duration<double>(*forecast.usual_wait(10, now)).count(), 120, 5);
    EXPECT_NEAR(std::chrono::duration<double>(*forecast.usual_wait(20, now)).count(), 1200, 60);
    EXPECT_GT(*forecast.usual_wait(15, now), *forecast.usual_wait(10, now));
}

TEST(ReaderForecastTest, AReaderMayGoThroughSeveralFilesAtOnce) {
    auto forecast = forecast_with_file();
    forecast.learn(2, std::vector<PolicyKey>{20, 21});
    forecast.move(7, 10, kStart);
    forecast.move(7, 20, kStart);
    EXPECT_NE(forecast.next_use(11), std::nullopt);
    EXPECT_NE(forecast.next_use(21), std::nullopt);
    EXPECT_TRUE(forecast.leave(7) && forecast.leave(7));
    EXPECT_EQ(forecast.leave(7), std::nullopt);
    EXPECT_EQ(forecast.next_use(11), std::nullopt);
}

TEST(ReaderForecastTest, KnowsWhoFellSilent) {
    auto forecast = forecast_with_file({.patience = seconds(10)});
    forecast.move(7, 10, kStart);
    forecast.move(8, 10, kStart + seconds(5));
    EXPECT_EQ(forecast.drop_silent(kStart + seconds(9)), std::nullopt);
    EXPECT_NE(forecast.drop_silent(kStart + seconds(10)), std::nullopt);
    EXPECT_EQ(forecast.drop_silent(kStart + seconds(14)), std::nullopt);
    EXPECT_EQ(forecast.walks(), 1U);
}

TEST(ReaderForecastTest, ForgetsFilesThatNobodyReadsWhenNamesRunOut) {
    auto forecast = forecast_with_file({.max_names = 10});
    forecast.move(7, 10, kStart);
    const std::vector<PolicyKey> four = {20, 21, 22, 23};
    EXPECT_TRUE(forecast.learn(2, four));
    const std::vector<PolicyKey> three = {30, 31, 32};
    EXPECT_TRUE(forecast.learn(3, three)) << "in the place of file 2";
    EXPECT_EQ(forecast.names(), 9U);
    EXPECT_THAT(forecast.move(8, 20, kStart), IsEmpty());
    EXPECT_NE(forecast.next_use(15), std::nullopt) << "file 1 has a reader and stays";
    EXPECT_FALSE(forecast.learn(4, std::vector<PolicyKey>(11, 1)));
}

TEST(ReaderForecastTest, FilesThatShareTheirChunksAreBoundedToo) {
    auto forecast = forecast_with_file({.max_names = 10});
    const std::vector<PolicyKey> shared = {10, 11, 12, 13};
    forecast.move(7, 10, kStart);
    EXPECT_TRUE(forecast.learn(2, shared));
    EXPECT_TRUE(forecast.learn(3, shared));
    EXPECT_TRUE(forecast.learn(2, shared)) << "it was forgotten for file 3";
}

TEST(ReaderForecastTest, BoundsItsReaders) {
    auto forecast = forecast_with_file({.max_walks = 1});
    forecast.move(7, 10, kStart);
    EXPECT_THAT(forecast.move(8, 10, kStart), IsEmpty());
    EXPECT_EQ(forecast.walks(), 1U);
}

}  // namespace
}  // namespace kollator::cache
