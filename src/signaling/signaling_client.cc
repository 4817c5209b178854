#include "signaling/signaling_client.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "signaling/back_off.h"
#include "signaling/web_socket_client.h"
#include "signaling/worker_token.h"

namespace kollator::signaling {
namespace {

const log::Logger kLog("signaling");

/// A registration that lasted this long was a good one: the next loss begins with a short delay.
/// Without it two workers of one id would throw each other out as fast as they can connect.
constexpr Duration kStableAfter = std::chrono::seconds(10);

/// Whom the log may quote: a front's words are a stranger's.
std::string printable(std::string text) {
    text.resize(std::min<std::size_t>(text.size(), 200));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '"'; },
        '?');
    return text;
}

}  // namespace

struct SignalingClient::Impl {
    Impl(EventLoop& the_loop, const Clock& the_clock, Random& random, SignalingClientOptions given,
         WebSocketUrl parsed_url, SignalingObserver& the_observer)
        : loop(the_loop),
          clock(the_clock),
          observer(the_observer),
          options(std::move(given)),
          url(std::move(parsed_url)),
          back_off(random, options.back_off_base, options.back_off_limit),
          retry_timer(loop),
          status_timer(loop),
          register_timer(loop) {}

    void connect();
    void register_now();
    void on_text(std::string_view text);
    void on_registered(const std::string& id);
    void on_lost(const std::string& reason);
    void report_status();

    EventLoop& loop;
    const Clock& clock;
    SignalingObserver& observer;

    const SignalingClientOptions options;
    const WebSocketUrl url;

    BackOff back_off;
    Timer retry_timer;
    Timer status_timer;
    Timer register_timer;
    std::unique_ptr<WebSocketClient> socket;
    bool registered = false;
    TimePoint registered_at{};
    std::uint64_t last_timestamp_s = 0;  ///< a front takes no token twice
    std::string refusal;                 ///< what the front said before it closed
    std::string last_reason;             ///< told; empty after a registration
};

void SignalingClient::Impl::connect() {
    WebSocketClientOptions socket_options;
    socket_options.url = url;
    socket_options.ca_file = options.ca_file;
    socket_options.connect_timeout = options.connect_timeout;
    refusal.clear();
    socket = std::make_unique<WebSocketClient>(
        loop, std::move(socket_options),
        WebSocketClientCallbacks{
            .on_open = [this] { register_now(); },
            .on_text = [this](std::string_view text) { on_text(text); },
            .on_close = [this](const std::string& reason) { on_lost(reason); }});
}

void SignalingClient::Impl::register_now() {
    register_timer.start_after(options.connect_timeout, [this] {
        if (refusal.empty()) refusal = "the front does not answer the registration";
        socket->close();
    });
    if (options.role == SignalingRole::kClient) {
        return socket->send_text(encode_message(RegisterClient{options.id}));
    }
    const auto now_s =
        std::chrono::duration_cast<std::chrono::seconds>(clock.wall_now().time_since_epoch())
            .count();
    last_timestamp_s = std::max(static_cast<std::uint64_t>(now_s), last_timestamp_s + 1);
    socket->send_text(encode_message(
        RegisterWorker{options.id, last_timestamp_s,
                       make_worker_token(options.shared_key, options.id, last_timestamp_s),
                       options.worker_url, options.capacity}));
}

void SignalingClient::Impl::on_text(std::string_view text) {
    const auto message = decode_message(text);
    if (!message) {
        kLog.debug("event=bad-message front={} error=\"{}\"", url.host_header,
                   message.error().detail);
        return;
    }
    if (const auto* signal = std::get_if<Signal>(&*message)) {
        if (registered && !signal->from.empty()) observer.on_signal(signal->from, signal->data);
    } else if (const auto* done = std::get_if<Registered>(&*message)) {
        on_registered(done->id);
    } else if (const auto* error = std::get_if<ErrorMessage>(&*message)) {
        // Where the connection ends next, this is why.
        if (error->code != "no-such-peer") refusal = printable(error->code + ": " + error->message);
        observer.on_error(*error);
    }
}

void SignalingClient::Impl::on_registered(const std::string& id) {
    if (registered) return;
    registered = true;
    registered_at = loop.now();
    register_timer.cancel();
    last_reason.clear();
    refusal.clear();
    kLog.info("event=registered front={} id={}", url.host_header, id);
    if (options.role == SignalingRole::kWorker) report_status();
    observer.on_registered(id);
}

void SignalingClient::Impl::report_status() {
    socket->send_text(encode_message(observer.status()));
    status_timer.start_after(options.status_interval, [this] { report_status(); });
}

void SignalingClient::Impl::on_lost(const std::string& closed_because) {
    const bool was_registered = std::exchange(registered, false);
    if (was_registered && loop.now() - registered_at >= kStableAfter) back_off.reset();
    status_timer.cancel();
    register_timer.cancel();
    const Duration delay = back_off.next();
    retry_timer.start_after(delay, [this] { connect(); });
    const std::string reason = refusal.empty() ? printable(closed_because) : refusal;
    // Once a change, not once a retry.
    if (!was_registered && reason == last_reason) return;
    last_reason = reason;
    kLog.warn(
        "event=disconnected front={} reason=\"{}\" action=\"connecting again until it works\"",
        url.host_header, reason);
    observer.on_disconnected(reason);
}

SignalingClient::SignalingClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SignalingClient::~SignalingClient() = default;

Result<std::unique_ptr<SignalingClient>> SignalingClient::start(EventLoop& loop, const Clock& clock,
                                                                Random& random,
                                                                SignalingClientOptions options,
                                                                SignalingObserver& observer) {
    KOLLATOR_CHECK(options.back_off_base > Duration::zero() &&
                   options.back_off_base <= options.back_off_limit);
    auto url = parse_web_socket_url(options.url);
    if (!url) return url.error();
    const bool worker = options.role == SignalingRole::kWorker;
    if (worker ? !is_valid_id(options.id) : !options.id.empty() && !is_uuid(options.id)) {
        return make_error(ErrorCode::kInvalid,
                          worker ? "a worker's id must be 1 to 64 of [A-Za-z0-9._-]"
                                 : "a client's id must be a UUID");
    }
    if (worker && !is_valid_worker_url(options.worker_url)) {
        return make_error(ErrorCode::kInvalid, "the worker's url must be an http or https URL");
    }
    auto impl =
        std::make_unique<Impl>(loop, clock, random, std::move(options), *std::move(url), observer);
    impl->connect();
    return std::unique_ptr<SignalingClient>(new SignalingClient(std::move(impl)));
}

bool SignalingClient::registered() const {
    return impl_->registered;
}

bool SignalingClient::send_signal(const std::string& to, SignalData data) {
    if (!impl_->registered) return false;
    impl_->socket->send_text(encode_message(Signal{to, "", std::move(data)}));
    return true;
}

void SignalingClient::send_status() {
    if (impl_->registered && impl_->options.role == SignalingRole::kWorker) impl_->report_status();
}

}  // namespace kollator::signaling
