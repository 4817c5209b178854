#pragma once

// For the layers that wrap Beast (http, signaling) only: everybody else uses event_loop.h.
// g++ 12's <coroutine> needs <utility> first with Boost 1.74.
#include <boost/asio/io_context.hpp>
#include <utility>

#include "loop/event_loop.h"

namespace kollator {

/// The loop's io_context. Never call run() or stop() on it.
boost::asio::io_context& io_context_of(EventLoop& loop);

}  // namespace kollator
