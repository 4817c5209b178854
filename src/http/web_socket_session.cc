#include "http/web_socket_session.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>

#include "base/log.h"
#include "loop/asio_access.h"

namespace kollator::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

const log::Logger kLog("ws");

constexpr Duration kHandshakeTimeout = std::chrono::seconds(10);
/// For what is queued and the other side's close frame.
constexpr Duration kCloseTimeout = std::chrono::seconds(5);

class WebSocketSession final : public WebSocketPeer,
                               public LiveConnection,
                               public std::enable_shared_from_this<WebSocketSession> {
 public:
    WebSocketSession(std::shared_ptr<ServerCore> core, Tcp::socket socket,
                     std::shared_ptr<const Route> route, Request request)
        : core_(std::move(core)),
          route_(std::move(route)),
          request_(std::move(request)),
          remote_address_(request_.remote_address),
          stream_(std::move(socket)),
          close_timer_(core_->loop) {
        core_->add(this);
    }
    ~WebSocketSession() override { core_->remove(this); }

    void start(const beast::http::request<beast::http::string_body>& upgrade);

    void send_text(std::string text) override;
    void close(std::uint16_t code, std::string_view reason) override;
    const std::string& remote_address() const override { return remote_address_; }

    void begin_stop() override { close(kCloseGoingAway, "the server stops"); }
    void abort() override;

 private:
    void on_accepted(error_code error);
    void read_next();
    void on_read(error_code error);
    void write_next();
    void send_close();
    void cut();
    void finish(std::uint16_t code, const std::string& reason);

    const std::shared_ptr<ServerCore> core_;
    const std::shared_ptr<const Route> route_;
    Request request_;
    const std::string remote_address_;

    websocket::stream<Tcp::socket> stream_;
    beast::flat_buffer buffer_;
    Timer close_timer_;
    std::unique_ptr<WebSocketObserver> observer_;

    std::deque<std::string> queue_;  ///< the front one is being written while `writing_`
    std::size_t queued_bytes_ = 0;
    bool writing_ = false;
    bool open_ = false;      ///< the handshake is done and nobody has ended it
    bool finished_ = false;  ///< on_close was told, or need not be
    bool too_slow_ = false;
    std::uint16_t close_code_ = 0;  ///< ours; 0: we have not asked to close
    std::string close_reason_;
};

void WebSocketSession::start(const beast::http::request<beast::http::string_body>& upgrade) {
    const WebSocketOptions& options = route_->web_socket_options;
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = kHandshakeTimeout;
    timeouts.idle_timeout = options.idle_timeout;
    timeouts.keep_alive_pings = true;
    stream_.set_option(timeouts);
    stream_.read_message_max(options.max_message_bytes);
    stream_.text(true);
    stream_.async_accept(
        upgrade, [self = shared_from_this()](error_code error) { self->on_accepted(error); });
}

void WebSocketSession::on_accepted(error_code error) {
    if (finished_) return;
    if (error || core_->stopping) return abort();
    open_ = true;
    // Held by name: the handler may keep the peer, which is this object, and so its route.
    const std::shared_ptr<const Route> route = route_;
    auto observer = route->web_socket(request_, shared_from_this());
    request_ = {};
    if (finished_) return;
    if (observer == nullptr) {
        close(kClosePolicy, "refused");
    } else {
        observer_ = std::move(observer);
    }
    read_next();
}

void WebSocketSession::read_next() {
    stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
        self->on_read(error);
    });
}

void WebSocketSession::on_read(error_code error) {
    if (finished_) return;
    if (too_slow_) return finish(kCloseAbnormal, "too slow: the send queue is full");
    if (error && close_code_ != 0) return finish(close_code_, close_reason_);
    if (error == websocket::error::closed) {
        const auto& reason = stream_.reason();
        return finish(reason.code, std::string(reason.reason.data(), reason.reason.size()));
    }
    if (error) return finish(kCloseAbnormal, error.message());
    if (!stream_.got_text()) {
        close(kCloseUnsupportedData, "only text frames are valid here");
    } else if (close_code_ == 0 && observer_ != nullptr) {
        const auto data = buffer_.cdata();
        observer_->on_text({static_cast<const char*>(data.data()), data.size()});
    }
    if (finished_) return;
    buffer_.consume(buffer_.size());
    // One long message must not keep its memory for as long as the connection lives.
    buffer_.shrink_to_fit();
    read_next();
}

void WebSocketSession::send_text(std::string text) {
    if (!open_ || close_code_ != 0) return;
    if (queued_bytes_ + text.size() > route_->web_socket_options.max_queued_bytes) {
        kLog.debug("event=peer-too-slow remote={} queued_bytes={}", remote_address_, queued_bytes_);
        too_slow_ = true;
        return cut();
    }
    queued_bytes_ += text.size();
    queue_.push_back(std::move(text));
    if (!writing_) write_next();
}

void WebSocketSession::write_next() {
    writing_ = true;
    stream_.async_write(asio::buffer(queue_.front()),
                        [self = shared_from_this()](error_code error, std::size_t) {
                            self->writing_ = false;
                            // The pending read tells of it.
                            if (error || self->finished_) return;
                            self->queued_bytes_ -= self->queue_.front().size();
                            self->queue_.pop_front();
                            if (!self->queue_.empty()) return self->write_next();
                            if (self->close_code_ != 0) self->send_close();
                        });
}

void WebSocketSession::close(std::uint16_t code, std::string_view reason) {
    if (finished_ || close_code_ != 0) return;
    close_code_ = code;
    // RFC 6455 5.5: a control frame has 125 bytes, two of which are the code.
    close_reason_ = std::string(reason.substr(0, 123));
    close_timer_.start_after(kCloseTimeout, [this] { cut(); });
    if (open_ && !writing_) send_close();
}

void WebSocketSession::send_close() {
    const websocket::close_reason reason(static_cast<websocket::close_code>(close_code_),
                                         close_reason_);
    // async_close takes the close frame of the other side by itself; the pending read then ends.
    stream_.async_close(reason, [self = shared_from_this()](error_code) {
        if (!self->finished_) self->finish(self->close_code_, self->close_reason_);
    });
}

void WebSocketSession::cut() {
    open_ = false;
    error_code ignored;
    stream_.next_layer().close(ignored);
}

void WebSocketSession::abort() {
    finished_ = true;
    close_timer_.cancel();
    cut();
    core_->remove(this);
    observer_.reset();
}

void WebSocketSession::finish(std::uint16_t code, const std::string& reason) {
    finished_ = true;
    close_timer_.cancel();
    cut();
    core_->remove(this);
    if (const auto observer = std::move(observer_)) observer->on_close(code, reason);
}

}  // namespace

void start_web_socket(std::shared_ptr<ServerCore> core, Tcp::socket socket,
                      beast::http::request<beast::http::string_body> upgrade,
                      std::shared_ptr<const Route> route, Request request) {
    const auto session = std::make_shared<WebSocketSession>(std::move(core), std::move(socket),
                                                            std::move(route), std::move(request));
    session->start(upgrade);
}

}  // namespace kollator::http
