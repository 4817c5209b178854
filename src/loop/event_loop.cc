#include "loop/event_loop.h"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "base/check.h"
#include "loop/asio_access.h"

namespace kollator {

namespace asio = boost::asio;

struct EventLoop::Impl {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::atomic<std::thread::id> thread{};
};

namespace {

/// Marks the calling thread as the loop's for as long as it lives.
class ThreadMark {
 public:
    explicit ThreadMark(std::atomic<std::thread::id>& slot) : slot_(slot) {
        slot_ = std::this_thread::get_id();
    }
    ~ThreadMark() { slot_ = std::thread::id(); }

 private:
    std::atomic<std::thread::id>& slot_;
};

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
    const ThreadMark mark(impl_->thread);
    impl_->context.restart();
    impl_->context.run();
}

bool EventLoop::run_until(const std::function<bool()>& done, Duration timeout) {
    const ThreadMark mark(impl_->thread);
    const TimePoint deadline = now() + timeout;
    impl_->context.restart();
    while (!done()) {
        if (now() >= deadline || impl_->context.stopped()) return done();
        impl_->context.run_one_until(deadline);
    }
    return true;
}

void EventLoop::stop() {
    impl_->context.stop();
}

void EventLoop::post(Task task) {
    asio::post(impl_->context, std::move(task));
}

TimePoint EventLoop::now() const {
    return std::chrono::steady_clock::now();
}

bool EventLoop::in_loop_thread() const {
    const std::thread::id owner = impl_->thread.load();
    return owner == std::thread::id() || owner == std::this_thread::get_id();
}

asio::io_context& io_context_of(EventLoop& loop) {
    return loop.impl().context;
}

struct Timer::Impl {
    explicit Impl(EventLoop& loop) : timer(io_context_of(loop)) {}
    asio::steady_timer timer;
    EventLoop::Task task;
    std::uint64_t generation = 0;  // of the schedule in force; an older handler does nothing
};

Timer::Timer(EventLoop& loop) : impl_(std::make_shared<Impl>(loop)) {}
Timer::~Timer() {
    if (impl_) cancel();
}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
    if (impl_ && impl_ != other.impl_) cancel();
    impl_ = std::move(other.impl_);
    return *this;
}

void Timer::start_at(TimePoint when, EventLoop::Task task) {
    const std::uint64_t generation = ++impl_->generation;
    impl_->task = std::move(task);
    impl_->timer.expires_at(when);
    impl_->timer.async_wait([impl = impl_, generation](const boost::system::error_code&) {
        if (generation != impl->generation || !impl->task) return;
        // Moved out first: the task may start the timer again, or destroy it.
        const EventLoop::Task due = std::exchange(impl->task, nullptr);
        due();
    });
}

void Timer::start_after(Duration delay, EventLoop::Task task) {
    start_at(
        std::chrono::steady_clock::now() + std::chrono::duration_cast<TimePoint::duration>(delay),
        std::move(task));
}

void Timer::cancel() {
    ++impl_->generation;
    impl_->task = nullptr;
    impl_->timer.cancel();
}

bool Timer::active() const {
    return static_cast<bool>(impl_->task);
}

struct FdWatch::Impl : std::enable_shared_from_this<FdWatch::Impl> {
    Impl(EventLoop& loop, int descriptor) : stream(io_context_of(loop), descriptor) {}

    void wait_readable() {
        stream.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                              if (error || !self->alive) return;
                              self->readable();
                              if (self->alive) self->wait_readable();
                          });
    }

    asio::posix::stream_descriptor stream;
    EventLoop::Task readable;
    bool alive = true;
};

FdWatch::FdWatch(EventLoop& loop, int descriptor)
    : impl_(std::make_shared<Impl>(loop, descriptor)) {}

FdWatch::~FdWatch() {
    impl_->alive = false;
    impl_->stream.release();  // cancels the waits; the descriptor is not ours to close
}

void FdWatch::on_readable(EventLoop::Task task) {
    KOLLATOR_CHECK(!impl_->readable);
    impl_->readable = std::move(task);
    impl_->wait_readable();
}

void FdWatch::when_writable(EventLoop::Task task) {
    impl_->stream.async_wait(
        asio::posix::stream_descriptor::wait_write,
        [impl = impl_, task = std::move(task)](const boost::system::error_code& error) {
            if (!error && impl->alive) task();
        });
}

}  // namespace kollator
