#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "loop/event_loop.h"

namespace kollator {

/// Runs `task` with the signal's number, on the loop's thread, each time one of `signals` comes.
/// While it lives, these signals do not end the process. Loop thread only.
class SignalWatch {
 public:
    SignalWatch(EventLoop& loop, const std::vector<int>& signals, std::function<void(int)> task);
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

 private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace kollator
