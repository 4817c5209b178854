#include "loop/stream_client.h"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "loop/asio_access.h"

namespace kollator {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;
using TlsStream = asio::ssl::stream<Tcp::socket>;

constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

/// Keeps itself alive while an operation is under way.
class StreamClient::Session : public std::enable_shared_from_this<Session> {
 public:
    Session(EventLoop& loop, StreamClientOptions options, StreamClientCallbacks callbacks)
        : options_(std::move(options)),
          callbacks_(std::move(callbacks)),
          resolver_(io_context_of(loop)),
          tls_context_(asio::ssl::context::tls_client),
          socket_(io_context_of(loop)),
          timer_(loop) {}

    void start() {
        timer_.start_after(options_.connect_timeout, [this] { finish("it takes too long"); });
        resolver_.async_resolve(
            options_.host, std::to_string(options_.port), Tcp::resolver::numeric_service,
            [self = shared_from_this()](error_code error,
                                        const Tcp::resolver::results_type& endpoints) {
                if (!self->failed(error, "cannot be resolved")) self->connect(endpoints);
            });
    }

    Status send(ByteSpan bytes) {
        if (!open_) return make_error(ErrorCode::kCancelled, "the stream is not open");
        if (waiting_.size() + bytes.size() > options_.max_queued_bytes) {
            return make_error(ErrorCode::kLimit, "too much is waiting to be sent");
        }
        waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
        if (!writing_) write();
        return {};
    }

    void abandon() {
        callbacks_ = {};
        finish("");
    }

 private:
    Tcp::socket& socket() { return tls_ ? tls_->next_layer() : socket_; }

    void connect(const Tcp::resolver::results_type& endpoints) {
        asio::async_connect(socket_, endpoints,
                            [self = shared_from_this()](error_code error, const Tcp::endpoint&) {
                                if (self->failed(error, "cannot connect")) return;
                                error_code ignored;
                                self->socket_.set_option(Tcp::no_delay(true), ignored);
                                self->options_.tls ? self->handshake() : self->opened();
                            });
    }

    void handshake() {
        error_code error;
        if (options_.ca_file.empty()) {
            tls_context_.set_default_verify_paths(error);
        } else {
            tls_context_.load_verify_file(options_.ca_file, error);
        }
        if (failed(error, "certificate authorities")) return;
        tls_.emplace(std::move(socket_), tls_context_);
        // RFC 6066 3: the name that we want to talk to. It fails only without memory.
        ::SSL_set_tlsext_host_name(tls_->native_handle(), options_.host.c_str());
        tls_->set_verify_mode(asio::ssl::verify_peer);
        tls_->set_verify_callback(asio::ssl::host_name_verification(options_.host));
        tls_->async_handshake(asio::ssl::stream_base::client,
                              [self = shared_from_this()](error_code failure) {
                                  if (!self->failed(failure, "TLS failed")) self->opened();
                              });
    }

    void opened() {
        open_ = true;
        timer_.cancel();
        read();
        if (callbacks_.on_open) callbacks_.on_open();
    }

    void read() {
        const auto done = [self = shared_from_this()](error_code error, std::size_t size) {
            if (self->failed(error, "the connection was lost")) return;
            // The client may be destroyed in the call.
            const auto on_data = self->callbacks_.on_data;
            if (on_data) on_data(ByteSpan(self->incoming_).first(size));
            if (!self->finished_) self->read();
        };
        const auto buffer = asio::buffer(incoming_);
        tls_ ? tls_->async_read_some(buffer, done) : socket_.async_read_some(buffer, done);
    }

    void write() {
        writing_ = true;
        outgoing_.swap(waiting_);
        waiting_.clear();
        const auto done = [self = shared_from_this()](error_code error, std::size_t) {
            self->writing_ = false;
            if (self->failed(error, "the connection was lost")) return;
            if (!self->waiting_.empty()) self->write();
        };
        const auto buffer = asio::buffer(outgoing_);
        tls_ ? asio::async_write(*tls_, buffer, done) : asio::async_write(socket_, buffer, done);
    }

    /// True where the operation that ended is of no more use.
    bool failed(error_code error, const char* what) {
        if (!finished_ && error) finish(std::string(what) + ": " + error.message());
        return finished_;
    }

    void finish(const std::string& reason) {
        if (finished_) return;
        const auto self = shared_from_this();
        finished_ = true;
        open_ = false;
        timer_.cancel();
        resolver_.cancel();
        error_code ignored;
        socket().close(ignored);
        if (const auto told = std::exchange(callbacks_, {}); told.on_closed) {
            told.on_closed(reason);
        }
    }

    const StreamClientOptions options_;
    StreamClientCallbacks callbacks_;
    Tcp::resolver resolver_;
    asio::ssl::context tls_context_;
    Tcp::socket socket_;  // until TLS begins
    std::optional<TlsStream> tls_;
    Timer timer_;

    std::array<std::uint8_t, kReadBytes> incoming_{};
    Bytes outgoing_;  ///< being written
    Bytes waiting_;
    bool open_ = false;
    bool writing_ = false;
    bool finished_ = false;
};

StreamClient::StreamClient(EventLoop& loop, StreamClientOptions options,
                           StreamClientCallbacks callbacks)
    : session_(std::make_shared<Session>(loop, std::move(options), std::move(callbacks))) {
    session_->start();
}

StreamClient::~StreamClient() {
    session_->abandon();
}

Status StreamClient::send(ByteSpan bytes) {
    return session_->send(bytes);
}

}  // namespace kollator
