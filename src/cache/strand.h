#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "loop/event_loop.h"
#include "loop/job_pool.h"

namespace kollator::cache {

/// Jobs that run one after the other, in the order given, on the pool's threads: everything that
/// changes the folder goes through one of these, so that what the index decided first is done first
/// (an eviction's unlink before the write that needs its room). Loop thread only. Steps that have
/// not started are dropped when it goes.
class Strand {
 public:
    Strand(EventLoop& loop, JobPool& jobs) : loop_(loop), jobs_(jobs) {}
    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;

    /// `work` on the pool, then `done(result)` on the loop.
    template <typename Work, typename Done>
    void run(Work work, Done done) {
        auto step = std::make_shared<std::pair<Work, Done>>(std::move(work), std::move(done));
        steps_.push_back([this, step = std::move(step)] {
            jobs_.run(
                loop_, std::move(step->first),
                [this, alive = std::weak_ptr(alive_), done = std::move(step->second)](auto result) {
                    if (alive.expired()) return;
                    busy_ = false;
                    done(std::move(result));
                    if (!alive.expired()) start_next();
                });
        });
        start_next();
    }

 private:
    void start_next() {
        if (busy_ || steps_.empty()) return;
        busy_ = true;
        const auto step = std::move(steps_.front());
        steps_.pop_front();
        step();
    }

    EventLoop& loop_;
    JobPool& jobs_;
    std::deque<std::function<void()>> steps_;
    bool busy_ = false;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cache
