#include "store/s3/client.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "store/s3/responses.h"

namespace kollator::store::s3 {
namespace {

const log::Logger kLog("s3");

/// Calls that wait for a connection, and the bodies they hold. Over either bound: kLimit.
constexpr std::size_t kMaxQueuedCalls = 4096;
constexpr std::size_t kMaxQueuedBytes = 256 << 20;

/// A list of 1,000 entries has about 0.6 MB; S3 puts up to 1,024 bytes of key into each.
constexpr std::size_t kMaxListBytes = 4 << 20;
constexpr std::size_t kMaxErrorBytes = 64 << 10;

/// S3 refuses a request whose time is 15 minutes off. Nearer than this, it was something else.
constexpr auto kNoticeableSkew = std::chrono::minutes(5);

/// SHA-256 of nothing.
constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

HttpTransfersOptions transfers_options(const S3Options& options, const Endpoint& endpoint) {
    HttpTransfersOptions out;
    out.max_transfers = options.max_transfers;
    out.ca_file = options.ca_file;
    out.connect_timeout = options.connect_timeout;
    out.stall_timeout = options.stall_timeout;
    out.avoid_proxies = endpoint.loopback;
    return out;
}

}  // namespace

struct Client::Operation {
    Operation(Id the_id, EventLoop& loop) : id(the_id), retry(loop) {}

    const Id id;
    Call call;
    Exchange::OnProgress on_progress;
    OnReply on_reply;

    int attempts = 0;
    bool clock_corrected = false;
    bool conditional = false;    ///< how the attempt under way was sent
    bool unconditional = false;  ///< this one goes without the condition
    bool queued = false;
    std::uint64_t slow_downs = 0;  ///< of the client, when the attempt was sent
    TimePoint first_sent{};
    TimePoint sent{};
    Timer retry;
    std::unique_ptr<HttpTransfers::Handle> transfer;
};

struct Client::Metrics {
    explicit Metrics(MetricsRegistry& registry)
        : requests(registry.counter("kollator_store_requests_total",
                                    "Requests sent to the object store, retries included")),
          errors(registry.counter("kollator_store_errors_total",
                                  "Requests to the object store that failed")),
          retries(registry.counter("kollator_store_retries_total",
                                   "Requests to the object store sent again")),
          uploaded(registry.counter("kollator_store_uploaded_bytes_total",
                                    "Bytes stored in the object store")),
          downloaded(registry.counter("kollator_store_downloaded_bytes_total",
                                      "Bytes received from the object store")),
          in_flight(registry.gauge("kollator_store_requests_in_flight",
                                   "Requests to the object store under way")),
          seconds(registry.histogram("kollator_store_request_seconds",
                                     "Duration of a request to the object store",
                                     {0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})) {}

    Counter requests;
    Counter errors;
    Counter retries;
    Counter uploaded;
    Counter downloaded;
    Gauge in_flight;
    Histogram seconds;
};

Client::Client(EventLoop& loop, const Clock& clock, Random& random, S3Options options,
               Endpoint endpoint)
    : loop_(loop),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      credentials_{options_.access_key, options_.secret_key, options_.session_token},
      metrics_(options_.metrics != nullptr ? std::make_unique<Metrics>(*options_.metrics)
                                           : nullptr),
      transfers_(loop, transfers_options(options_, endpoint_)),
      limit_(options_.max_transfers) {}

Client::~Client() = default;

bool Client::has_room(const Call& call) const {
    return queue_.size() < kMaxQueuedCalls &&
           queued_bytes_ + (call.body ? call.body->size() : 0) <= kMaxQueuedBytes;
}

void Client::start(Id id, Call call, Exchange::OnProgress on_progress, OnReply on_reply) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    KOLLATOR_CHECK(operations_.count(id) == 0);
    const bool has_room = this->has_room(call);
    auto& operation = operations_[id];
    operation = std::make_unique<Operation>(id, loop_);
    operation->call = std::move(call);
    operation->on_progress = std::move(on_progress);
    operation->on_reply = std::move(on_reply);
    if (has_room) {
        enqueue(*operation, false);
        pump();
        return;
    }
    ++stats_.errors;
    loop_.post([weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            self->finish(
                id, make_error(ErrorCode::kLimit, "too many requests wait for the object store"));
        }
    });
}

void Client::cancel(Id id) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    // Out of the map first: what the callbacks hold may call back in here when it goes.
    const auto operation = std::move(found->second);
    operations_.erase(found);
    if (operation->queued) {
        queue_.erase(std::find(queue_.begin(), queue_.end(), id));
        if (operation->call.body) queued_bytes_ -= operation->call.body->size();
    }
    if (operation->transfer) {
        operation->transfer.reset();
        --in_flight_;
        if (metrics_) metrics_->in_flight.set(static_cast<double>(in_flight_));
    }
    pump();
}

/// A retry goes first: it has waited longest.
void Client::enqueue(Operation& operation, bool first) {
    operation.queued = true;
    if (operation.call.body) queued_bytes_ += operation.call.body->size();
    if (first) {
        queue_.push_front(operation.id);
    } else {
        queue_.push_back(operation.id);
    }
}

void Client::pump() {
    while (!queue_.empty() && in_flight_ < limit_) {
        Operation& operation = *operations_.at(queue_.front());
        queue_.pop_front();
        operation.queued = false;
        if (operation.call.body) queued_bytes_ -= operation.call.body->size();
        dispatch(operation);
    }
}

void Client::dispatch(Operation& operation) {
    operation.sent = clock_.now();
    if (operation.attempts == 0) operation.first_sent = operation.sent;
    ++operation.attempts;
    operation.slow_downs = slow_downs_;
    operation.conditional =
        operation.call.only_if_absent && conditions_work_ && !operation.unconditional;
    ++in_flight_;
    ++stats_.requests;
    if (operation.attempts > 1) ++stats_.retries;
    if (metrics_) {
        metrics_->requests.add();
        if (operation.attempts > 1) metrics_->retries.add();
        metrics_->in_flight.set(static_cast<double>(in_flight_));
    }
    operation.transfer =
        transfers_.start(sign(operation), operation.on_progress,
                         [weak = weak_from_this(), id = operation.id](HttpResponse response) {
                             if (const auto self = weak.lock())
                                 self->on_response(id, std::move(response));
                         });
}

HttpRequest Client::sign(const Operation& operation) const {
    const Call& call = operation.call;
    SigningScope scope;
    scope.region = options_.region;
    scope.time = corrected_now();

    SignableRequest to_sign;
    to_sign.method = std::string(to_string(call.method));
    to_sign.path = endpoint_.prefix + "/" + call.key;
    if (call.key.empty() && !endpoint_.prefix.empty()) to_sign.path.pop_back();
    to_sign.query = call.query;
    to_sign.payload_hash = call.payload_hash.empty() ? kEmptyHash : call.payload_hash;
    to_sign.headers = {{"Host", endpoint_.host},
                       {"x-amz-content-sha256", to_sign.payload_hash},
                       {"x-amz-date", amz_date(scope.time)}};
    if (!credentials_.session_token.empty()) {
        to_sign.headers.emplace_back("x-amz-security-token", credentials_.session_token);
    }

    HttpRequest request;
    request.method = call.method;
    request.url = endpoint_.origin + to_sign.path;
    if (!call.query.empty()) request.url += "?" + canonical_query(call.query);
    for (const auto& [name, value] : to_sign.headers)
        request.headers.push_back(name + ": " + value);
    request.headers.push_back("Authorization: " + authorization(to_sign, credentials_, scope));
    if (!call.range.empty()) request.headers.push_back("Range: " + call.range);
    if (operation.conditional) request.headers.emplace_back("If-None-Match: *");
    request.body = call.body;
    request.keep_body = call.keep_body;
    request.max_body_bytes = call.max_body_bytes;
    request.budget = call.budget;
    request.max_text_bytes = call.query.empty() ? kMaxErrorBytes : kMaxListBytes;
    const std::uint64_t bytes = call.body ? call.body->size() : call.max_body_bytes;
    request.timeout = options_.request_timeout +
                      std::chrono::milliseconds(bytes * 1000 / options_.min_bytes_per_second);
    return request;
}

bool Client::is_clock_off(const HttpResponse& response) const {
    if (!response.server_time) return false;
    const Duration ahead = *response.server_time - corrected_now();
    return ahead > kNoticeableSkew || ahead < -kNoticeableSkew;
}

void Client::on_response(Id id, HttpResponse response) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    Operation& operation = *found->second;
    operation.transfer.reset();
    --in_flight_;
    const ErrorResponse error =
        response.status >= 300 ? parse_error(response.text) : ErrorResponse{};
    Attempt attempt;
    attempt.method = operation.call.method;
    attempt.fault = response.fault;
    attempt.status = response.status;
    attempt.code = error.code;
    attempt.conditional = operation.conditional;
    attempt.clock_is_off = is_clock_off(response);
    const Verdict verdict = judge(attempt);
    count(operation, verdict);
    // The last: it may call the store's user, who may destroy the store.
    const auto self = shared_from_this();
    settle(operation, verdict, error, std::move(response));
    pump();
}

void Client::count(const Operation& operation, const Verdict& verdict) {
    const bool fine = verdict.action == Action::kSucceed ||
                      verdict.action == Action::kAlreadyThere ||
                      verdict.error == ErrorCode::kNotFound;
    if (!fine) ++stats_.errors;
    if (!metrics_) return;
    if (!fine) metrics_->errors.add();
    metrics_->in_flight.set(static_cast<double>(in_flight_));
    metrics_->seconds.observe(std::chrono::duration<double>(clock_.now() - operation.sent).count());
    const double downloaded = static_cast<double>(transfers_.downloaded_bytes());
    metrics_->downloaded.add(std::max(0.0, downloaded - metrics_->downloaded.value()));
}

void Client::settle(Operation& operation, const Verdict& verdict, const ErrorResponse& document,
                    HttpResponse response) {
    const auto failure = [&] { return failure_of(operation, verdict, response, document); };
    switch (verdict.action) {
        case Action::kSucceed:
        case Action::kAlreadyThere:
            speed_up();
            if (operation.unconditional && conditions_work_) {
                conditions_work_ = false;
                kLog.info("endpoint={} conditional_writes=no", endpoint_.origin);
            }
            finish(operation.id,
                   Reply{std::move(response), verdict.action == Action::kAlreadyThere});
            return;
        case Action::kFail:
            break;
        case Action::kRetrySlower:
            slow_down(operation);
            retry_later(operation, verdict, failure());
            return;
        case Action::kRetry:
            retry_later(operation, verdict, failure());
            return;
        case Action::kCorrectClock:
            if (!correct_clock(operation, response)) break;
            enqueue(operation, true);
            return;
        case Action::kRetryUnconditional:
            operation.unconditional = true;
            enqueue(operation, true);
            return;
    }
    finish(operation.id, failure());
}

bool Client::may_retry(const Operation& operation, Duration wait) const {
    return operation.attempts < options_.max_attempts &&
           clock_.now() + wait <= operation.first_sent + options_.retry_window;
}

void Client::retry_later(Operation& operation, const Verdict& verdict, Error failure) {
    const Duration wait =
        backoff(operation.attempts + 1, options_.backoff_base, options_.backoff_cap, random_);
    if (!may_retry(operation, wait)) {
        finish(operation.id, std::move(failure));
        return;
    }
    kLog.debug("retry_in_ms={} attempt={} error={} detail=\"{}\"",
               std::chrono::duration_cast<std::chrono::milliseconds>(wait).count(),
               operation.attempts, kollator::to_string(verdict.error), failure.detail);
    operation.retry.start_after(wait, [this, id = operation.id] {
        // The timer is the operation's, which is ours: both live when it fires.
        enqueue(*operations_.at(id), true);
        pump();
    });
}

bool Client::correct_clock(Operation& operation, const HttpResponse& response) {
    if (operation.clock_corrected || !response.server_time) return false;
    operation.clock_corrected = true;
    clock_offset_ = *response.server_time - clock_.wall_now();
    kLog.warn("endpoint={} clock_is_wrong_by_s={} advice=\"set this machine's clock\"",
              endpoint_.origin,
              std::chrono::duration_cast<std::chrono::seconds>(clock_offset_).count());
    return true;
}

/// Half as many at once; a refusal of what was sent before the last halving is no news.
void Client::slow_down(const Operation& operation) {
    if (operation.slow_downs != slow_downs_) return;
    ++slow_downs_;
    successes_ = 0;
    limit_ = std::max<std::size_t>(1, limit_ / 2);
    kLog.warn("endpoint={} says=slow-down requests_at_once={}", endpoint_.origin, limit_);
}

/// One more at once for each round of successes.
void Client::speed_up() {
    if (limit_ >= options_.max_transfers || ++successes_ < limit_) return;
    successes_ = 0;
    ++limit_;
}

bool Client::holds_a_secret(const std::string& text) const {
    for (const std::string& secret :
         {credentials_.access_key, credentials_.secret_key, credentials_.session_token}) {
        if (!secret.empty() && text.find(secret) != std::string::npos) return true;
    }
    return false;
}

Error Client::failure_of(const Operation& operation, const Verdict& verdict,
                         const HttpResponse& response, const ErrorResponse& document) const {
    std::string detail =
        fmt::format("{} {}: ", to_string(operation.call.method),
                    operation.call.key.empty() ? endpoint_.origin : operation.call.key);
    if (response.fault != Fault::kNone) {
        detail += response.fault_detail;
    } else {
        detail += std::to_string(response.status);
        if (!document.code.empty()) detail += " " + document.code;
        if (!document.message.empty()) detail += ", " + document.message;
    }
    if (const std::string_view advice = advice_for(document.code); !advice.empty()) {
        detail += fmt::format(" ({})", advice);
    }
    // A server may repeat what we sent.
    if (holds_a_secret(detail)) {
        detail = fmt::format("{}: {}", to_string(operation.call.method), response.status);
    }
    return make_error(verdict.error, std::move(detail));
}

void Client::finish(Id id, Result<Reply> result) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    const auto operation = std::move(found->second);
    operations_.erase(found);
    operation->on_reply(std::move(result));
}

StoreStats Client::stats() const {
    StoreStats stats = stats_;
    stats.downloaded_bytes = transfers_.downloaded_bytes();
    return stats;
}

void Client::count_upload(ObjectKind kind, std::uint64_t size_bytes) {
    stats_.uploaded_chunks += kind == ObjectKind::kChunk ? 1 : 0;
    stats_.uploaded_bytes += size_bytes;
    if (metrics_) metrics_->uploaded.add(static_cast<double>(size_bytes));
}

}  // namespace kollator::store::s3
