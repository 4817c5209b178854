#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <limits>
#include <optional>

#include "base/log.h"
#include "http/response_headers.h"
#include "http/server_core.h"
#include "http/target.h"
#include "http/web_socket_session.h"
#include "loop/system_clock.h"

// Beast's http is a namespace too; ours is kollator::http.
namespace kollator::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

const log::Logger kLog("http");

/// Read ahead at most: one turn of Beast's reader, over the header's limit.
constexpr std::size_t kMaxBufferedBytes = 64 * 1024;
/// After an answer that ends the connection: a client that still sends must not get a reset before
/// it has read the answer (RFC 9112 9.6).
constexpr Duration kLingerTimeout = std::chrono::seconds(2);
constexpr std::size_t kLingerMaxBytes = 1024 * 1024;

constexpr std::size_t kLingerReadBytes = 4096;
constexpr std::string_view kLineBreaks("\r\n\0", 3);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// States of a connection:
///
///   idle ──byte──▶ header ──▶ body ──▶ handling ──answer──▶ writing ──▶ idle, header or linger
///
/// A limit that is passed, or a fault, goes to writing with `close` set; so do header and body when
/// their time is up. Every state but handling has exactly one operation pending.
enum class Phase { kIdle, kHeader, kBody, kHandling, kWriting, kLinger, kClosed };

class Connection final : public LiveConnection, public std::enable_shared_from_this<Connection> {
 public:
    Connection(std::shared_ptr<ServerCore> core, Tcp::socket socket)
        : core_(std::move(core)),
          socket_(std::move(socket)),
          remote_(remote_address_of(socket_)),
          timer_(core_->loop) {
        core_->add(this);
    }
    ~Connection() override { core_->remove(this); }

    void wait_for_request(Duration timeout);
    void begin_stop() override {
        if (phase_ == Phase::kIdle) abort();
    }
    void abort() override;

 private:
    using Parser = bhttp::request_parser<bhttp::string_body>;

    void read_header();
    void on_header(error_code error);
    void read_body();
    void on_body(error_code error);
    void on_read_failed(error_code error);
    void dispatch();
    void call_handler(std::shared_ptr<const Route> route);
    void upgrade(std::shared_ptr<const Route> route);
    void respond(Response response);
    void write();
    void on_written(error_code error);
    void linger();
    void linger_read();

    void enter(Phase phase, Duration timeout);
    void on_timeout();
    Status build_request();
    std::string client_of(const bhttp::fields& fields) const;

    const std::shared_ptr<ServerCore> core_;
    Tcp::socket socket_;
    const RemoteAddress remote_;
    Timer timer_;

    Phase phase_ = Phase::kIdle;
    bool timed_out_ = false;
    beast::flat_buffer buffer_{kMaxBufferedBytes};
    std::optional<Parser> parser_;
    Request request_;
    RouteMatch match_;
    bool keep_alive_ = false;
    std::shared_ptr<Connection> while_handling_;  ///< its owner while no operation is pending
    std::uint64_t exchange_ = 0;  ///< of the request being handled; a late answer finds another

    Response response_;  ///< holds the bytes while they are written
    bhttp::response<bhttp::span_body<const char>> message_;
    std::optional<bhttp::response_serializer<bhttp::span_body<const char>>> serializer_;
    std::size_t lingered_bytes_ = 0;
};

void Connection::enter(Phase phase, Duration timeout) {
    phase_ = phase;
    timed_out_ = false;
    timer_.start_after(timeout, [this] { on_timeout(); });
}

void Connection::on_timeout() {
    error_code ignored;
    switch (phase_) {
        case Phase::kHeader:
        case Phase::kBody:
            // The read ends with operation_aborted, and on_read_failed answers 408.
            timed_out_ = true;
            socket_.cancel(ignored);
            return;
        case Phase::kHandling:
            kLog.warn("event=handler-timeout method={} path={}", request_.method, request_.path);
            return respond(error_response(504, "timeout", "the answer took too long"));
        default:
            return abort();
    }
}

void Connection::wait_for_request(Duration timeout) {
    if (core_->stopping) return abort();
    if (buffer_.size() > 0) return read_header();  // pipelined
    buffer_.shrink_to_fit();                       // an idle connection holds no buffer
    enter(Phase::kIdle, timeout);
    socket_.async_wait(Tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
        if (self->phase_ != Phase::kIdle) return;
        if (error) return self->abort();
        self->read_header();
    });
}

void Connection::read_header() {
    enter(Phase::kHeader, core_->options.header_timeout);
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(core_->options.max_header_bytes));
    // The route's limit counts, and the route is known only after the header.
    // Not boost::none: this Beast takes every Content-Length to be over it.
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
    bhttp::async_read_header(
        socket_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
}

std::string Connection::client_of(const bhttp::fields& fields) const {
    if (core_->proxies.empty()) return remote_.text;
    std::string forwarded;
    const auto [begin, end] = fields.equal_range("X-Forwarded-For");
    for (auto line = begin; line != end; ++line) {
        if (!forwarded.empty()) forwarded += ',';
        forwarded += std::string_view(line->value().data(), line->value().size());
    }
    return core_->proxies.client_of(remote_.text, forwarded);
}

Status Connection::build_request() {
    const auto& message = parser_->get();
    request_ = {};
    request_.method = std::string(message.method_string());
    request_.remote_address = client_of(message);
    request_.is_loopback = remote_.is_loopback;
    std::size_t hosts = 0;
    for (const auto& field : message) {
        if (field.name() == bhttp::field::host) ++hosts;
        request_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    // RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    // request message that lacks a Host header field and to any request message that contains more
    // than one Host header field line".
    if (hosts > 1 || (hosts == 0 && message.version() >= 11)) {
        return make_error(ErrorCode::kInvalid, "exactly one Host header is needed");
    }
    const auto raw = message.target();
    auto target = parse_target({raw.data(), raw.size()});
    if (!target) return target.error();
    request_.path = std::move(target->path);
    request_.query = std::move(target->query);
    return {};
}

void Connection::on_header(error_code error) {
    if (phase_ == Phase::kClosed) return;
    if (error) return on_read_failed(error);
    keep_alive_ = parser_->keep_alive();
    match_ = {};
    if (const Status built = build_request(); !built) {
        keep_alive_ = false;
        return respond(error_response(400, "bad-request", built.error().detail));
    }
    match_ = core_->router.match(request_.method, request_.path);
    request_.params = std::move(match_.params);
    const std::size_t limit =
        match_.route ? match_.route->options.max_body_bytes : kDefaultMaxBodyBytes;
    const auto length = parser_->content_length();
    if (length && *length > limit) return on_read_failed(bhttp::error::body_limit);
    parser_->body_limit(limit);
    if (match_.route && match_.route->web_socket) return upgrade(match_.route);
    read_body();
}

void Connection::read_body() {
    if (parser_->is_done()) return on_body({});
    enter(Phase::kBody, core_->options.body_timeout);
    const auto read = [self = shared_from_this()] {
        bhttp::async_read(self->socket_, self->buffer_, *self->parser_,
                          [self](error_code error, std::size_t) { self->on_body(error); });
    };
    if (!equals_ignoring_case(request_.header("Expect"), "100-continue")) return read();
    asio::async_write(socket_, asio::buffer(kContinue),
                      [self = shared_from_this(), read](error_code error, std::size_t) {
                          if (self->phase_ == Phase::kClosed) return;
                          if (error) return self->on_read_failed(error);
                          read();
                      });
}

void Connection::on_read_failed(error_code error) {
    if (phase_ == Phase::kClosed) return;
    keep_alive_ = false;
    const auto limit =
        std::to_string(match_.route ? match_.route->options.max_body_bytes : kDefaultMaxBodyBytes);
    if (timed_out_) {
        const bool began = phase_ == Phase::kBody || buffer_.size() > 0 || parser_->got_some();
        if (!began) return abort();
        return respond(error_response(408, "timeout", "the request did not come in time"));
    }
    if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
        return respond(
            error_response(431, "header-too-large", "the request's header is too large"));
    }
    if (error == bhttp::error::body_limit) {
        return respond(error_response(413, "too-large", "the body is over " + limit + " bytes"));
    }
    const bool malformed = error.category() == make_error_code(bhttp::error::bad_method).category();
    if (malformed && error != bhttp::error::end_of_stream &&
        error != bhttp::error::partial_message) {
        return respond(error_response(400, "bad-request", error.message()));
    }
    abort();
}

void Connection::on_body(error_code error) {
    if (phase_ == Phase::kClosed) return;
    if (error) return on_read_failed(error);
    dispatch();
}

void Connection::dispatch() {
    request_.body = parser_->get().body();
    if (match_.route) return call_handler(match_.route);
    if (request_.path == "*" && request_.method == "OPTIONS") {
        return respond(Response{.status = 204, .content_type = {}, .body = {}});
    }
    if (match_.allowed.empty()) {
        return respond(error_response(404, "not-found", "nothing is at " + request_.path));
    }
    if (request_.method == "OPTIONS") return respond(options_response(request_, match_));
    Response response =
        error_response(405, "method-not-allowed", request_.method + " is not possible here");
    response.headers.emplace_back("Allow", allow_text(match_));
    respond(std::move(response));
}

void Connection::call_handler(std::shared_ptr<const Route> route) {
    enter(Phase::kHandling, core_->options.handler_timeout);
    const std::uint64_t exchange = ++exchange_;
    const Responder responder([weak = weak_from_this(), exchange](Response response) {
        const auto self = weak.lock();
        if (!self || self->phase_ != Phase::kHandling || self->exchange_ != exchange) return;
        self->respond(std::move(response));
    });
    while_handling_ = shared_from_this();
    route->handler(request_, responder);
}

void Connection::upgrade(std::shared_ptr<const Route> route) {
    const bool wanted = beast::websocket::is_upgrade(parser_->get()) && parser_->is_done();
    if (!wanted || buffer_.size() > 0) {
        keep_alive_ = false;
        Response response =
            error_response(426, "upgrade-required", "this is a WebSocket's address");
        response.headers.emplace_back("Upgrade", "websocket");
        return respond(std::move(response));
    }
    phase_ = Phase::kClosed;
    timer_.cancel();
    // In the list first, so that the server is never idle in between.
    start_web_socket(core_, std::move(socket_), parser_->release(), std::move(route),
                     std::move(request_));
    core_->remove(this);
}

void Connection::respond(Response response) {
    if (phase_ == Phase::kClosed || phase_ == Phase::kWriting) return;
    enter(Phase::kWriting, core_->options.write_timeout);
    add_common_headers(request_, match_.cors, response);
    if (response.close || core_->stopping) keep_alive_ = false;
    if (core_->metrics) core_->metrics->for_status(response.status).add();
    kLog.debug("event=request remote={} method={} path={} status={} bytes={}", remote_.text,
               request_.method, request_.path, response.status, response.body_size());
    response_ = std::move(response);
    write();
    while_handling_.reset();
}

void Connection::write() {
    message_ = {};
    message_.result(static_cast<unsigned>(response_.status));
    message_.version(parser_->is_header_done() ? parser_->get().version() : 11);
    message_.set(bhttp::field::date,
                 http_date(std::chrono::system_clock::to_time_t(system_clock().wall_now())));
    if (!response_.content_type.empty()) {
        message_.set(bhttp::field::content_type, response_.content_type);
    }
    for (const auto& [name, value] : response_.headers) {
        // A line break in a value would be a second header: nobody's input gets that far.
        if (value.find_first_of(kLineBreaks) == std::string::npos) message_.insert(name, value);
    }
    message_.keep_alive(keep_alive_);
    const std::string_view body = response_.body_view();
    const bool bodiless = response_.status == 204 || response_.status == 304;
    // RFC 9110 8.6: no Content-Length in a 204; for HEAD the length that GET would have.
    if (!bodiless) message_.content_length(body.size());
    message_.body() = {body.data(), body.size()};

    serializer_.emplace(message_);
    serializer_->split(true);
    const bool header_only = bodiless || body.empty() || request_.method == "HEAD";
    auto done = [self = shared_from_this()](error_code error, std::size_t) {
        self->on_written(error);
    };
    if (header_only) {
        bhttp::async_write_header(socket_, *serializer_, std::move(done));
    } else {
        serializer_->split(false);
        bhttp::async_write(socket_, *serializer_, std::move(done));
    }
}

void Connection::on_written(error_code error) {
    if (phase_ == Phase::kClosed) return;
    serializer_.reset();
    message_ = {};
    response_ = {};
    request_ = {};
    if (error) return abort();
    if (!keep_alive_) return linger();
    parser_.reset();
    match_ = {};
    wait_for_request(core_->options.idle_timeout);
}

void Connection::linger() {
    enter(Phase::kLinger, kLingerTimeout);
    error_code ignored;
    socket_.shutdown(Tcp::socket::shutdown_send, ignored);
    buffer_.consume(buffer_.size());
    linger_read();
}

void Connection::linger_read() {
    socket_.async_read_some(buffer_.prepare(kLingerReadBytes),
                            [self = shared_from_this()](error_code error, std::size_t size) {
                                if (self->phase_ == Phase::kClosed) return;
                                self->lingered_bytes_ += size;
                                if (error || self->lingered_bytes_ > kLingerMaxBytes)
                                    return self->abort();
                                self->linger_read();
                            });
}

void Connection::abort() {
    if (phase_ == Phase::kClosed) return;
    phase_ = Phase::kClosed;
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
    core_->remove(this);
    // Last: it may be the last owner.
    const auto self = std::exchange(while_handling_, nullptr);
}

}  // namespace

void start_http_connection(std::shared_ptr<ServerCore> core, Tcp::socket socket) {
    const Duration timeout = core->options.header_timeout;
    const auto connection = std::make_shared<Connection>(std::move(core), std::move(socket));
    // Who connects and says nothing is not given the patience for a kept-alive connection.
    connection->wait_for_request(timeout);
}

}  // namespace kollator::http
