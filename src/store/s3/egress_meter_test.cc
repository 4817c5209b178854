#include "store/s3/egress_meter.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temp_folder.h"

namespace kollator::store::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::FaultyFileSystem;
using testing_support::FileOperation;

TEST(EgressRecord, RoundTripsAndRefusesEveryBeginningOfItself) {
    const EgressRecord record{"2026-11", 18'446'744'073'709'551'615ULL};
    const std::string text = format_egress(record);
    EXPECT_EQ(parse_egress(text), record);
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(parse_egress(text.substr(0, length))) << length;
    }
    for (const char* wrong : {"2026-11 18446744073709551616\n", "2026-11 -1\n", "2026/11 1\n",
                              "2026-11  1\n", "2026-11 1 \n", "november 1\n"}) {
        EXPECT_FALSE(parse_egress(wrong)) << wrong;
    }
}

TEST(MonthOf, IsOfUtc) {
    using std::chrono::sys_days;
    using namespace std::chrono_literals;
    const auto end_of_year = sys_days(2026y / 12 / 31) + 23h + 59min;
    EXPECT_EQ(month_of(end_of_year), "2026-12");
    EXPECT_EQ(month_of(end_of_year + 1min), "2027-01");
}

TEST(RateLimit, PaysItsDebtAtItsRate) {
    ManualClock clock;
    RateLimit rate(1000, clock.now());
    EXPECT_EQ(rate.wait(clock.now()), Duration::zero());
    rate.take(5000);
    EXPECT_NEAR(std::chrono::duration<double>(rate.wait(clock.now())).count(), 5, 0.1);
    rate.give_back(3000);
    EXPECT_NEAR(std::chrono::duration<double>(rate.wait(clock.now())).count(), 2, 0.1);
    clock.advance(seconds(2));
    EXPECT_EQ(rate.wait(clock.now()), Duration::zero());
    clock.advance(seconds(3600));  // saves up a second's worth, no more
    rate.wait(clock.now());
    rate.take(3000);
    EXPECT_NEAR(std::chrono::duration<double>(rate.wait(clock.now())).count(), 2, 0.1);
}

class EgressMeterTest : public testing::Test {
 protected:
    EgressMeterTest() {
        options_.egress_budget_bytes = 1000;
        options_.egress_limited_bytes_per_second = 100;
        options_.egress_file = folder_.path() / "egress";
        options_.jobs = &jobs_;
        options_.files = &fs_;
        reopen();
    }
    void reopen() {
        meter_.reset();
        meter_ = std::make_unique<EgressMeter>(loop_, clock_, options_);
    }

    testing_support::TempFolder folder_;
    FaultyFileSystem fs_;
    EventLoop loop_;
    JobPool jobs_{1};
    ManualClock clock_;
    S3Options options_;
    std::unique_ptr<EgressMeter> meter_;
};

TEST_F(EgressMeterTest, CountsWarnsAtFourFifthsAndLimitsAtTheBudget) {
    meter_->note_total(799);
    EXPECT_FALSE(meter_->check()->warn);
    meter_->note_total(800);
    EXPECT_TRUE(meter_->check()->warn);
    EXPECT_FALSE(meter_->limits());
    meter_->note_total(1000);
    EXPECT_TRUE(meter_->limits());
    EXPECT_NE(meter_->check()->detail.find("slowed"), std::string::npos);
    EXPECT_EQ(meter_->try_take(500), Duration::zero());
    EXPECT_GT(meter_->try_take(500), seconds(4));
    clock_.advance(seconds(5));
    EXPECT_EQ(meter_->try_take(500), Duration::zero());
}

TEST_F(EgressMeterTest, GoesOnCountingAfterARestart) {
    meter_->note_total(700);
    reopen();
    EXPECT_EQ(meter_->stats()->used_bytes, 700U);
    meter_->note_total(300);
    EXPECT_TRUE(meter_->limits());
}

TEST_F(EgressMeterTest, BeginsAnewWithTheMonth) {
    meter_->note_total(1000);
    const std::string before = meter_->stats()->month;
    clock_.advance(std::chrono::hours(24 * 31));
    EXPECT_FALSE(meter_->limits());
    EXPECT_EQ(meter_->stats()->used_bytes, 0U);
    EXPECT_GT(meter_->stats()->month, before);
    meter_->note_total(1010);
    EXPECT_EQ(meter_->stats()->used_bytes, 10U);
    reopen();
    EXPECT_EQ(meter_->stats()->used_bytes, 10U);
}

TEST_F(EgressMeterTest, AClockThatFellBehindFreesNoBudget) {
    meter_->note_total(1000);
    clock_.set_wall(WallTime{});  // 1970, as after a start without a battery
    reopen();
    EXPECT_TRUE(meter_->limits());
    meter_->note_total(5);
    EXPECT_EQ(meter_->stats()->used_bytes, 1005U);
}

TEST_F(EgressMeterTest, ADamagedFileCountsAsNone) {
    meter_.reset();
    ASSERT_TRUE(
        write_file_durably(posix_file_system(), options_.egress_file, as_bytes("nonsense")).ok());
    reopen();
    EXPECT_EQ(meter_->stats()->used_bytes, 0U);
    meter_->note_total(5);
    reopen();
    EXPECT_EQ(meter_->stats()->used_bytes, 5U);
}

TEST_F(EgressMeterTest, ACountThatCannotBeWrittenIsKeptInMemory) {
    fs_.set_hook([](FileOperation operation, const auto&) -> std::optional<Error> {
        if (operation != FileOperation::kRename) return std::nullopt;
        return make_error(ErrorCode::kUnavailable, "read-only");
    });
    meter_->note_total(900);
    EXPECT_EQ(meter_->stats()->used_bytes, 900U);
    reopen();
    EXPECT_EQ(meter_->stats()->used_bytes, 0U);
}

TEST_F(EgressMeterTest, WithoutABudgetItOnlyCounts) {
    options_.egress_budget_bytes = 0;
    reopen();
    meter_->note_total(1'000'000);
    EXPECT_FALSE(meter_->limits());
    EXPECT_FALSE(meter_->check().has_value());
    EXPECT_EQ(meter_->stats()->used_bytes, 1'000'000U);
    options_.egress_file.clear();
    reopen();
    EXPECT_FALSE(meter_->stats().has_value());
}

}  // namespace
}  // namespace kollator::store::s3
