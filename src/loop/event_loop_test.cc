#include "loop/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

#include "loop/job_pool.h"
#include "loop/signal_watch.h"

namespace kollator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(EventLoop, RunsPostedTasksInOrderAndNeverBeforePostReturned) {
    EventLoop loop;
    std::vector<int> order;
    loop.post([&] {
        loop.post([&] { order.push_back(2); });
        order.push_back(1);
    });
    EXPECT_TRUE(order.empty());
    EXPECT_TRUE(loop.run_until([&] { return order.size() == 2; }, seconds(5)));
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(EventLoop, RunUntilGivesUpAtItsDeadline) {
    EventLoop loop;
    EXPECT_FALSE(loop.run_until([] { return false; }, milliseconds(5)));
}

TEST(EventLoop, ATimerThatIsDestroyedNeverFires) {
    EventLoop loop;
    bool fired = false;
    bool later = false;
    auto timer = std::make_unique<Timer>(loop);
    timer->start_after(milliseconds(1), [&] { fired = true; });
    Timer second(loop);
    second.start_after(milliseconds(5), [&] { later = true; });
    timer.reset();
    EXPECT_TRUE(loop.run_until([&] { return later; }, seconds(5)));
    EXPECT_FALSE(fired);
}

TEST(EventLoop, StartingATimerAgainReplacesItsTask) {
    EventLoop loop;
    int which = 0;
    Timer timer(loop);
    timer.start_after(milliseconds(1), [&] { which = 1; });
    timer.start_after(milliseconds(3), [&] { which = 2; });
    EXPECT_TRUE(loop.run_until([&] { return which != 0; }, seconds(5)));
    EXPECT_EQ(which, 2);
}

TEST(EventLoop, ATimerMayRestartItselfFromItsTask) {
    EventLoop loop;
    int runs = 0;
    Timer timer(loop);
    std::function<void()> task = [&] {
        if (++runs < 3) timer.start_after(milliseconds(1), task);
    };
    timer.start_after(milliseconds(1), task);
    EXPECT_TRUE(loop.run_until([&] { return runs == 3; }, seconds(5)));
    EXPECT_FALSE(timer.active());
}

TEST(EventLoop, AWatchTellsReadablePipesUntilItGoes) {
    EventLoop loop;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    std::string got;
    auto watch = std::make_unique<FdWatch>(loop, ends[0]);
    watch->on_readable([&] {
        char byte = 0;
        ASSERT_EQ(::read(ends[0], &byte, 1), 1);
        got.push_back(byte);
    });
    ASSERT_EQ(::write(ends[1], "ab", 2), 2);
    EXPECT_TRUE(loop.run_until([&] { return got == "ab"; }, seconds(5)));
    watch.reset();
    ASSERT_EQ(::write(ends[1], "c", 1), 1);
    EXPECT_FALSE(loop.run_until([&] { return got == "abc"; }, milliseconds(10)));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(SignalWatch, TurnsASignalIntoATask) {
    EventLoop loop;
    int got = 0;
    const SignalWatch watch(loop, {SIGUSR1}, [&](int number) { got = number; });
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    EXPECT_TRUE(loop.run_until([&] { return got != 0; }, seconds(5)));
    EXPECT_EQ(got, SIGUSR1);
}

TEST(JobPool, RunsWorkElsewhereAndItsResultOnTheLoop) {
    EventLoop loop;
    JobPool pool(2);
    std::thread::id worker;
    std::thread::id back;
    int result = 0;
    pool.run(
        loop,
        [&] {
            worker = std::this_thread::get_id();
            return 42;
        },
        [&](int value) {
            back = std::this_thread::get_id();
            result = value;
        });
    EXPECT_TRUE(loop.run_until([&] { return result != 0; }, seconds(5)));
    EXPECT_EQ(result, 42);
    EXPECT_NE(worker, std::this_thread::get_id());
    EXPECT_EQ(back, std::this_thread::get_id());
}

}  // namespace
}  // namespace kollator
