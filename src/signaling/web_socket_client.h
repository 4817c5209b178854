#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "loop/event_loop.h"
#include "signaling/web_socket_url.h"

namespace kollator::signaling {

struct WebSocketClientOptions {
    WebSocketUrl url;
    std::string ca_file;  ///< PEM, besides the system's own authorities; wss only
    Duration connect_timeout = std::chrono::seconds(10);  ///< to the end of the handshake
    Duration idle_timeout = std::chrono::seconds(30);     ///< half of it: a ping; all of it: gone
    std::size_t max_message_bytes = 64 * 1024;
    std::size_t max_queued_bytes = 1024 * 1024;  ///< unsent; over it the connection is given up
};

/// Told by a WebSocketClient, on the loop, never from within a call to it.
struct WebSocketClientCallbacks {
    std::function<void()> on_open;
    std::function<void(std::string_view text)> on_text;
    /// The last call, once, opened or not.
    std::function<void(const std::string& reason)> on_close;
};

/// One connection to a WebSocket server, which begins at once. Text frames only. Loop thread only.
/// Destroying it, also from a callback, ends the connection without further calls.
class WebSocketClient {
 public:
    WebSocketClient(EventLoop& loop, WebSocketClientOptions options,
                    WebSocketClientCallbacks callbacks);
    ~WebSocketClient();
    WebSocketClient(const WebSocketClient&) = delete;
    WebSocketClient& operator=(const WebSocketClient&) = delete;

    /// REQUIRES: on_open was called. After the end it does nothing.
    void send_text(std::string text);
    /// A close frame after what is queued, then on_close.
    void close();

    class Session;

 private:
    std::shared_ptr<Session> session_;
};

}  // namespace kollator::signaling
