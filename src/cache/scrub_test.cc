#include "cache/scrub.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "tests/support/disk_cache_fixture.h"

namespace kollator::cache {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

ChunkId id_at(double share) {
    std::array<std::uint8_t, 32> bytes{};
    bytes[0] = static_cast<std::uint8_t>(share * 256);
    return ChunkId(bytes);
}

TEST(ScrubStateTest, IsReadAsItWasWritten) {
    const ScrubState state{id_at(0.3), 1'700'000'000, 1'699'000'000, 3, 400, 5'000'000'000, 2};
    const std::string text = format_scrub_state(state);
    EXPECT_EQ(parse_scrub_state(text), state);
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(parse_scrub_state(text.substr(0, length))) << length;
    }
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string flipped = text;
        flipped[at] = static_cast<char>(flipped[at] ^ 1);
        EXPECT_FALSE(parse_scrub_state(flipped)) << at;
    }
    EXPECT_FALSE(parse_scrub_state(text + "x"));
}

TEST(ScrubRateTest, SpreadsWhatIsLeftOverTheTimeThatIsLeft) {
    ScrubOptions options;
    options.interval = hours(10);
    options.max_bytes_per_second = 1'000'000;
    ScrubState state{.position = ChunkId(), .pass_began_s = 1000};
    EXPECT_NEAR(scrub_rate(state, 36'000'000, 1000, options), 1000, 1);
    state.position = id_at(0.5);
    EXPECT_NEAR(scrub_rate(state, 36'000'000, 1000 + 18'000, options), 1000, 1) << "half, half";
    EXPECT_NEAR(scrub_rate(state, 36'000'000, 1000, options), 500, 1) << "it is ahead";
    EXPECT_NEAR(scrub_rate(state, 36'000'000, 1'000'000, options), 300'000, 1)
        << "it is late: a minute for the rest";
    EXPECT_NEAR(scrub_rate(state, 36'000'000'000, 1'000'000, options), 1'000'000, 1) << "bounded";
    EXPECT_EQ(scrub_rate(state, 0, 1000, options), 0);
}

/// Time passes by itself, `tick_` in a millisecond.
class ScrubberTest : public DiskCacheTest {
 protected:
    void fill(std::size_t count) {
        open(100'000'000);
        for (std::size_t n = 0; n < count; ++n) {
            chunks_.push_back(make_chunk(10'000, n));
            ASSERT_TRUE(insert(chunks_.back()).ok());
        }
        std::sort(chunks_.begin(), chunks_.end(),
                  [](const auto& a, const auto& b) { return a.id < b.id; });
    }
    void scrub() {
        ScrubOptions options;
        options.folder = folder_.path() / "cache";
        options.interval = interval_;
        options.longest_pause = milliseconds(1);  // of the loop's clock, which is the real one
        scrubber_ = std::make_unique<Scrubber>(loop_, jobs_, fs_, clock_, *cache_, options,
                                               [this](const ChunkId& id) { found_.push_back(id); });
    }
    bool pass_time_until(const std::function<bool()>& done) {
        Timer timer(loop_);
        const std::function<void()> turn = [&] {
            clock_.advance(tick_);
            timer.start_after(milliseconds(1), turn);
        };
        turn();
        return loop_.run_until(done, kPatience);
    }
    bool end_of_pass(std::uint64_t number) {
        return pass_time_until([&] { return scrubber_->stats().state.passes == number; });
    }
    void damage(const TestChunk& chunk, std::streamoff at) {
        std::fstream file(file_of(chunk), std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(at);
        const int old = file.get();
        file.seekp(at);
        file.put(static_cast<char>(old ^ 1));
    }

    Duration interval_ = hours(1);
    Duration tick_ = milliseconds(100);
    std::vector<TestChunk> chunks_;
    std::vector<ChunkId> found_;
    std::unique_ptr<Scrubber> scrubber_;
};

TEST_F(ScrubberTest, ReadsEverythingOnceInItsInterval) {
    fill(20);
    tick_ = seconds(5);
    scrub();
    const TimePoint begun = clock_.now();
    ASSERT_TRUE(end_of_pass(1));
    const ScrubState first = scrubber_->stats().state;
    EXPECT_EQ(first.checked, 20U);
    EXPECT_EQ(first.checked_bytes, 200'000U);
    EXPECT_EQ(first.damaged, 0U);
    EXPECT_GT(clock_.now() - begun, std::chrono::minutes(30)) << "at an even pace";
    EXPECT_TRUE(scrubber_->stats().between_passes);
    ASSERT_TRUE(end_of_pass(2));
    EXPECT_GE(clock_.now() - begun, hours(1)) << "and not before the hour is over";
    EXPECT_EQ(scrubber_->stats().state.checked, 40U);
    EXPECT_EQ(cache_->stats().hits, 0U) << "a scrub is no use";
}

TEST_F(ScrubberTest, FindsWhatIsDamagedAndTells) {
    fill(20);
    damage(chunks_[3], 5);
    damage(chunks_[17], 9'999);
    std::filesystem::resize_file(file_of(chunks_[8]), 4'000);
    interval_ = seconds(1);
    scrub();
    ASSERT_TRUE(end_of_pass(1));
    EXPECT_EQ(found_, std::vector<ChunkId>({chunks_[3].id, chunks_[8].id, chunks_[17].id}));
    for (const ChunkId& id : found_) EXPECT_FALSE(cache_->size_of(id));
    EXPECT_EQ(scrubber_->stats().state.damaged, 3U);
    EXPECT_EQ(cache_->stats().corruptions, 3U);
}

TEST_F(ScrubberTest, GoesOnWhereItWas) {
    fill(20);
    tick_ = seconds(5);
    scrub();
    ASSERT_TRUE(pass_time_until([&] { return scrubber_->stats().state.checked == 7; }));
    bool closed = false;
    scrubber_->close([&] { closed = true; });
    ASSERT_TRUE(loop_.run_until([&] { return closed; }, kPatience));
    const ScrubState kept = scrubber_->stats().state;
    EXPECT_EQ(kept.position, chunks_[6].id);
    scrubber_.reset();
    close();
    damage(chunks_[2], 0);
    damage(chunks_[9], 0);
    open(100'000'000);
    EXPECT_EQ(cache_->stats().put_aside, 0U) << "the scrubber's file is none of the foreign ones";
    scrub();
    ASSERT_TRUE(end_of_pass(1));
    EXPECT_EQ(found_, std::vector<ChunkId>({chunks_[9].id})) << "the other one's turn comes";
    EXPECT_EQ(scrubber_->stats().state.checked, 20U);
    EXPECT_EQ(scrubber_->stats().state.pass_began_s, kept.pass_began_s);
}

TEST_F(ScrubberTest, GivesWayToOtherJobsButNotForEver) {
    fill(3);
    interval_ = seconds(1);
    tick_ = milliseconds(50);
    // Two threads are held, and a job waits behind them.
    std::atomic<bool> held{true};
    for (int n = 0; n < 3; ++n) {
        jobs_.submit([&] {
            while (held) std::this_thread::sleep_for(milliseconds(1));
        });
    }
    scrub();
    const TimePoint begun = clock_.now();
    ASSERT_TRUE(pass_time_until([&] { return clock_.now() - begun > seconds(5); }));
    EXPECT_EQ(scrubber_->stats().state.checked, 0U);
    held = false;
    ASSERT_TRUE(end_of_pass(1));
}

TEST_F(ScrubberTest, AnIntervalOfZeroIsOff) {
    fill(1);
    interval_ = Duration::zero();
    scrub();
    EXPECT_FALSE(scrubber_->stats().enabled);
    const TimePoint begun = clock_.now();
    ASSERT_TRUE(pass_time_until([&] { return clock_.now() - begun > seconds(5); }));
    EXPECT_EQ(scrubber_->stats().state.pass_began_s, 0);
}

TEST_F(ScrubberTest, AStateFileOfNobodyIsNoHarm) {
    fill(2);
    std::ofstream(folder_.path() / "cache" / kScrubStateName) << "kollator-scrub-1 nonsense\n";
    interval_ = seconds(1);
    scrub();
    EXPECT_TRUE(end_of_pass(1));
}

}  // namespace
}  // namespace kollator::cache
