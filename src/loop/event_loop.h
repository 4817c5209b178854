#pragma once

#include <functional>
#include <memory>

#include "base/time.h"

namespace kollator {

/// One thread's loop: timers, file descriptors and posted work, run one after the other. Everything
/// that a loop owns is touched on its thread only; other threads reach it by post().
class EventLoop {
 public:
    using Task = std::function<void()>;

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Runs until stop(). The thread that calls it becomes the loop's thread.
    void run();
    /// Runs until `done` gives true or `timeout` has passed; gives what `done` gave last. For tests
    /// and for draining at the end.
    bool run_until(const std::function<bool()>& done, Duration timeout);
    /// Thread-safe.
    void stop();

    /// Runs `task` on the loop's thread, after what is already queued; never before post()
    /// returned. Thread-safe. Tasks left when the loop is destroyed are destroyed without running.
    void post(Task task);

    TimePoint now() const;

    /// True on the thread that runs the loop, and everywhere while none does.
    bool in_loop_thread() const;

    /// The wrapped Asio context, for loop/asio_access.h.
    struct Impl;
    Impl& impl() { return *impl_; }

 private:
    std::unique_ptr<Impl> impl_;
};

/// A timer of a loop. Loop thread only. Cancelled when destroyed: after that its task never runs.
class Timer {
 public:
    explicit Timer(EventLoop& loop);
    ~Timer();
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;

    /// Runs `task` once, at or soon after `when`. Replaces what was scheduled before.
    void start_at(TimePoint when, EventLoop::Task task);
    void start_after(Duration delay, EventLoop::Task task);
    void cancel();
    bool active() const;

 private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

/// Tells when a file descriptor can be read or written. Loop thread only. The descriptor stays the
/// caller's, who keeps it open for as long as the watch lives. Level-triggered: the task runs again
/// while the condition holds.
class FdWatch {
 public:
    FdWatch(EventLoop& loop, int descriptor);
    ~FdWatch();
    FdWatch(const FdWatch&) = delete;
    FdWatch& operator=(const FdWatch&) = delete;

    /// Runs `task` each time the descriptor is readable, until the watch goes.
    void on_readable(EventLoop::Task task);
    /// Runs `task` once when the descriptor is writable.
    void when_writable(EventLoop::Task task);

 private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace kollator
