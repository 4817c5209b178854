#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "http/message.h"

namespace kollator::http {

// RFC 6455 7.4.1.
inline constexpr std::uint16_t kCloseNormal = 1000;
inline constexpr std::uint16_t kCloseGoingAway = 1001;
inline constexpr std::uint16_t kCloseUnsupportedData = 1003;
inline constexpr std::uint16_t kCloseAbnormal = 1006;  ///< never sent: no close frame came
inline constexpr std::uint16_t kClosePolicy = 1008;
inline constexpr std::uint16_t kCloseTryAgainLater = 1013;

struct WebSocketOptions {
    std::size_t max_message_bytes = 64 * 1024;  ///< a longer one ends the connection with 1009
    std::size_t max_queued_bytes =
        1024 * 1024;  ///< unsent; over it the peer is too slow: it is cut
    Duration idle_timeout = std::chrono::seconds(60);  ///< half of it: a ping; all of it: cut
};

/// The other end of a WebSocket connection. Loop thread only. Once it is closed every call does
/// nothing; whoever holds the pointer may hold it longer than the connection lives.
class WebSocketPeer {
 public:
    virtual ~WebSocketPeer() = default;
    virtual void send_text(std::string text) = 0;
    /// Closes after what is queued was sent; on_close follows. `reason` up to 123 bytes, then cut.
    virtual void close(std::uint16_t code, std::string_view reason) = 0;
    virtual const std::string& remote_address() const = 0;
};

/// Told about one connection, never from within a call to the peer, and destroyed after on_close.
class WebSocketObserver {
 public:
    virtual ~WebSocketObserver() = default;
    virtual void on_text(std::string_view text) = 0;
    /// The last call, once; not made when the server is destroyed. `reason` is for logs.
    virtual void on_close(std::uint16_t code, const std::string& reason) = 0;
};

/// Runs when the handshake is done. Null refuses: the connection is closed with 1008.
using WebSocketHandler = std::function<std::unique_ptr<WebSocketObserver>(
    const Request&, std::shared_ptr<WebSocketPeer>)>;

}  // namespace kollator::http
