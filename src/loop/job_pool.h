#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "loop/event_loop.h"

namespace kollator {

/// A few threads for work that may block or take long: file reads, fsync, SHA-256 of whole chunks.
/// Jobs own what they work on; the only way back to a loop is post().
class JobPool {
 public:
    explicit JobPool(std::size_t threads);
    /// Waits for the jobs that run; those still queued are destroyed without running.
    ~JobPool();
    JobPool(const JobPool&) = delete;
    JobPool& operator=(const JobPool&) = delete;

    /// Runs `job` on some thread of the pool. Thread-safe. The queue has no bound of its own: who
    /// submits holds a bound for its kind of work (a budget, a window, a number in flight).
    void submit(std::function<void()> job);

    /// Runs `work` on the pool and `done(its result)` on the loop. A job whose `loop` is gone by
    /// then must not exist: the owner of both destroys the pool first. What `work` and `done` hold
    /// is destroyed on the loop's thread too, once `done` has run.
    template <typename Work, typename Done>
    void run(EventLoop& loop, Work work, Done done) {
        using Output = std::invoke_result_t<Work>;
        // std::function wants copyable callables; a chunk's owner often is not.
        auto shared = std::make_shared<std::pair<Work, Done>>(std::move(work), std::move(done));
        submit([&loop, shared]() mutable {
            // Moved into the posted task: the pool's thread must not hold the last reference.
            if constexpr (std::is_void_v<Output>) {
                shared->first();
                loop.post([shared = std::move(shared)] { shared->second(); });
            } else {
                auto output = std::make_shared<Output>(shared->first());
                loop.post([shared = std::move(shared), output = std::move(output)] {
                    shared->second(std::move(*output));
                });
            }
        });
    }

    std::size_t queued() const;

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator
