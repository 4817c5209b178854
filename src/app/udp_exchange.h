#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace kollator::app {

/// Sends `request` to `host:port` over UDP and waits for a datagram that `is_answer` takes, sending
/// again meanwhile, to each of the name's addresses. Blocks: for a job. kUnavailable: the name has
/// no address, or nothing can be sent there. kTimeout: nobody answers.
Status udp_exchange(const std::string& host, const std::string& port, ByteSpan request,
                    const std::function<bool(ByteSpan)>& is_answer,
                    std::chrono::milliseconds timeout);

}  // namespace kollator::app
