#include "loop/signal_watch.h"

#include <boost/asio/signal_set.hpp>

#include "loop/asio_access.h"

namespace kollator {

struct SignalWatch::Impl : std::enable_shared_from_this<SignalWatch::Impl> {
    Impl(EventLoop& loop, std::function<void(int)> on_signal)
        : signals(io_context_of(loop)), task(std::move(on_signal)) {}

    void wait() {
        signals.async_wait(
            [self = shared_from_this()](const boost::system::error_code& error, int number) {
                if (error || !self->alive) return;
                self->wait();
                self->task(number);
            });
    }

    boost::asio::signal_set signals;
    std::function<void(int)> task;
    bool alive = true;
};

SignalWatch::SignalWatch(EventLoop& loop, const std::vector<int>& signals,
                         std::function<void(int)> task)
    : impl_(std::make_shared<Impl>(loop, std::move(task))) {
    for (const int number : signals) impl_->signals.add(number);
    impl_->wait();
}

SignalWatch::~SignalWatch() {
    impl_->alive = false;
    impl_->signals.cancel();
}

}  // namespace kollator
