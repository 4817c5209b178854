#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "loop/event_loop.h"

namespace kollator {

struct StreamClientOptions {
    std::string host;  ///< a name or a numeric address
    std::uint16_t port = 0;
    /// TLS 1.2 or later; the certificate must be for `host` and signed by an authority of
    /// `ca_file` (PEM), or of the system where that is empty.
    bool tls = false;
    std::string ca_file;
    Duration connect_timeout = std::chrono::seconds(10);
    std::size_t max_queued_bytes = 1024 * 1024;
};

struct StreamClientCallbacks {
    std::function<void()> on_open;
    std::function<void(ByteSpan)> on_data;  ///< valid for the call
    /// The last call, once: it could not connect, or the connection has ended.
    std::function<void(const std::string& reason)> on_closed;
};

/// A connection over TCP, or TLS over TCP, as a stream of bytes. Loop thread only. The callbacks
/// run on the loop, never from within a call; they may destroy the client.
class StreamClient {
 public:
    StreamClient(EventLoop& loop, StreamClientOptions options, StreamClientCallbacks callbacks);
    /// Cuts the connection; no callback follows.
    ~StreamClient();
    StreamClient(const StreamClient&) = delete;
    StreamClient& operator=(const StreamClient&) = delete;

    /// Queues all of it or nothing. kLimit: max_queued_bytes are waiting already. kCancelled: not
    /// open.
    Status send(ByteSpan bytes);

    class Session;

 private:
    std::shared_ptr<Session> session_;
};

}  // namespace kollator
