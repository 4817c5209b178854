#include "signaling/web_socket_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>
#include <type_traits>

#include "loop/asio_access.h"

namespace kollator::signaling {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;
using Tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<Tcp::socket>;

constexpr Duration kCloseTimeout = std::chrono::seconds(5);

}  // namespace

/// What the client's handle sees; one implementation for ws and one for wss.
class WebSocketClient::Session {
 public:
    virtual ~Session() = default;
    virtual void start() = 0;
    virtual void send_text(std::string text) = 0;
    virtual void close() = 0;
    /// No calls after it.
    virtual void abandon() = 0;
};

namespace {

template <typename Stream>
class TypedSession final : public WebSocketClient::Session,
                           public std::enable_shared_from_this<TypedSession<Stream>> {
    static constexpr bool kSecure = std::is_same_v<Stream, TlsStream>;

 public:
    template <typename... StreamArguments>
    TypedSession(EventLoop& loop, WebSocketClientOptions options,
                 WebSocketClientCallbacks callbacks, StreamArguments&&... arguments)
        : options_(std::move(options)),
          callbacks_(std::move(callbacks)),
          resolver_(io_context_of(loop)),
          stream_(io_context_of(loop), std::forward<StreamArguments>(arguments)...),
          timer_(loop) {}

    void start() override {
        timer_.start_after(options_.connect_timeout, [this] { give_up("it takes too long"); });
        resolver_.async_resolve(
            options_.url.host, std::to_string(options_.url.port), Tcp::resolver::numeric_service,
            [self = this->shared_from_this()](error_code error,
                                              const Tcp::resolver::results_type& endpoints) {
                if (self->failed(error, "the host's name cannot be resolved")) return;
                self->connect(endpoints);
            });
    }

    void send_text(std::string text) override {
        if (!open_ || closing_) return;
        if (queued_bytes_ + text.size() > options_.max_queued_bytes) {
            return give_up("the send queue is full");
        }
        queued_bytes_ += text.size();
        queue_.push_back(std::move(text));
        if (!writing_) write_next();
    }

    void close() override {
        if (closing_ || finished_) return;
        closing_ = true;
        if (!open_) return give_up("closed before it was open");
        timer_.start_after(kCloseTimeout, [this] { give_up("closed"); });
        if (!writing_) send_close();
    }

    void abandon() override {
        finished_ = true;
        callbacks_ = {};
        cut();
    }

 private:
    Tcp::socket& socket() { return beast::get_lowest_layer(stream_); }

    void connect(const Tcp::resolver::results_type& endpoints) {
        asio::async_connect(
            socket(), endpoints,
            [self = this->shared_from_this()](error_code error, const Tcp::endpoint&) {
                if (self->failed(error, "cannot connect")) return;
                error_code ignored;
                self->socket().set_option(Tcp::no_delay(true), ignored);
                if constexpr (kSecure) {
                    self->tls_handshake();
                } else {
                    self->handshake();
                }
            });
    }

    void tls_handshake() {
        auto& tls = stream_.next_layer();
        // RFC 6066 3: the name that we want to talk to. It fails only without memory.
        ::SSL_set_tlsext_host_name(tls.native_handle(), options_.url.host.c_str());
        tls.set_verify_mode(asio::ssl::verify_peer);
        tls.set_verify_callback(asio::ssl::host_name_verification(options_.url.host));
        tls.async_handshake(asio::ssl::stream_base::client,
                            [self = this->shared_from_this()](error_code error) {
                                if (self->failed(error, "TLS failed")) return;
                                self->handshake();
                            });
    }

    void handshake() {
        websocket::stream_base::timeout timeouts{};
        timeouts.handshake_timeout = options_.connect_timeout;
        timeouts.idle_timeout = options_.idle_timeout;
        timeouts.keep_alive_pings = true;
        stream_.set_option(timeouts);
        stream_.read_message_max(options_.max_message_bytes);
        stream_.text(true);
        stream_.async_handshake(options_.url.host_header, options_.url.target,
                                [self = this->shared_from_this()](error_code error) {
                                    if (self->failed(error, "no WebSocket there")) return;
                                    self->opened();
                                });
    }

    void opened() {
        timer_.cancel();
        open_ = true;
        read_next();
        if (const auto call = callbacks_.on_open) call();
    }

    void read_next() {
        stream_.async_read(buffer_,
                           [self = this->shared_from_this()](error_code error, std::size_t) {
                               if (self->finished_) return;
                               if (error) return self->finish(self->reason_for(error));
                               const auto data = self->buffer_.cdata();
                               const auto call = self->callbacks_.on_text;
                               if (self->stream_.got_text() && call && !self->closing_) {
                                   call({static_cast<const char*>(data.data()), data.size()});
                               }
                               self->buffer_.consume(self->buffer_.size());
                               if (!self->finished_) self->read_next();
                           });
    }

    void write_next() {
        writing_ = true;
        stream_.async_write(asio::buffer(queue_.front()),
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                                self->writing_ = false;
                                if (error || self->finished_) return;  // the pending read tells
                                self->queued_bytes_ -= self->queue_.front().size();
                                self->queue_.pop_front();
                                if (!self->queue_.empty()) return self->write_next();
                                if (self->closing_) self->send_close();
                            });
    }

    void send_close() {
        stream_.async_close(websocket::close_code::normal,
                            [self = this->shared_from_this()](error_code) {
                                if (!self->finished_) self->finish("closed");
                            });
    }

    /// Ends it from within a call or a timer: the pending operation fails, and tells.
    void give_up(const std::string& reason) {
        if (give_up_reason_.empty()) give_up_reason_ = reason;
        cut();
    }

    void cut() {
        timer_.cancel();
        resolver_.cancel();
        error_code ignored;
        socket().close(ignored);
    }

    bool failed(error_code error, const std::string& what) {
        if (finished_) return true;
        // A step may have succeeded just before it was given up.
        if (!error && give_up_reason_.empty()) return false;
        finish(give_up_reason_.empty() ? what + ": " + error.message() : give_up_reason_);
        return true;
    }

    std::string reason_for(error_code error) {
        if (!give_up_reason_.empty()) return give_up_reason_;
        if (closing_) return "closed";
        const auto& reason = stream_.reason();
        if (error != websocket::error::closed || reason.code == 0) return error.message();
        return "closed by the server: " + std::to_string(reason.code) + " " +
               std::string(reason.reason.data(), reason.reason.size());
    }

    void finish(const std::string& reason) {
        finished_ = true;
        cut();
        const auto call = std::exchange(callbacks_, {}).on_close;
        if (call) call(reason);
    }

    const WebSocketClientOptions options_;
    WebSocketClientCallbacks callbacks_;
    Tcp::resolver resolver_;
    websocket::stream<Stream> stream_;
    Timer timer_;  ///< of connecting, then of closing
    beast::flat_buffer buffer_;
    std::deque<std::string> queue_;  ///< the front one is being written while `writing_`
    std::size_t queued_bytes_ = 0;
    bool writing_ = false;
    bool open_ = false;
    bool closing_ = false;
    bool finished_ = false;
    std::string give_up_reason_;
};

std::shared_ptr<WebSocketClient::Session> make_secure(EventLoop& loop,
                                                      WebSocketClientOptions options,
                                                      WebSocketClientCallbacks callbacks) {
    asio::ssl::context context(asio::ssl::context::tls_client);
    error_code ignored;
    context.set_default_verify_paths(ignored);
    // A file that cannot be read leaves the system's authorities: the handshake then says no.
    if (!options.ca_file.empty()) context.load_verify_file(options.ca_file, ignored);
    // OpenSSL counts the stream's reference to the context; the wrapper may go.
    return std::make_shared<TypedSession<TlsStream>>(loop, std::move(options), std::move(callbacks),
                                                     context);
}

}  // namespace

WebSocketClient::WebSocketClient(EventLoop& loop, WebSocketClientOptions options,
                                 WebSocketClientCallbacks callbacks) {
    if (options.url.secure) {
        session_ = make_secure(loop, std::move(options), std::move(callbacks));
    } else {
        session_ = std::make_shared<TypedSession<Tcp::socket>>(loop, std::move(options),
                                                               std::move(callbacks));
    }
    session_->start();
}

WebSocketClient::~WebSocketClient() {
    session_->abandon();
}

void WebSocketClient::send_text(std::string text) {
    session_->send_text(std::move(text));
}

void WebSocketClient::close() {
    session_->close();
}

}  // namespace kollator::signaling
