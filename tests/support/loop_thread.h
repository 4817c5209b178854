#pragma once

#include <functional>
#include <future>
#include <thread>

#include "loop/event_loop.h"

namespace kollator::testing {

/// Runs a loop on a thread of its own, so that a test can block in a client. What the loop owns is
/// made and destroyed by run(), on the loop's thread.
class LoopThread {
 public:
    LoopThread() : thread_([this] { loop_.run(); }) {}
    ~LoopThread() { stop(); }
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;

    EventLoop& loop() { return loop_; }

    /// Runs `task` on the loop and waits for its end.
    void run(const std::function<void()>& task) {
        std::promise<void> done;
        loop_.post([&] {
            task();
            done.set_value();
        });
        done.get_future().wait();
    }

    void stop() {
        if (!thread_.joinable()) return;
        loop_.stop();
        thread_.join();
    }

 private:
    EventLoop loop_;
    std::thread thread_;
};

}  // namespace kollator::testing
