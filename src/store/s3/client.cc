#include "store/s3/client.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace kollator::store::s3 {
namespace {

const log::Logger kLog("s3");

/// Calls that wait for a connection, and the bodies they hold. Over either bound: kLimit.
constexpr std::size_t kMaxQueuedCalls = 4096;
constexpr std::size_t kMaxQueuedBytes = 256 << 20;

/// S3 refuses a request whose time is 15 minutes off. Nearer than this, it was something else.
constexpr auto kNoticeableSkew = std::chrono::minutes(5);

/// A 400 to a conditional PUT whose repetition without the condition succeeds may have been an
/// accident; so many are none.
constexpr int kCertainDoubts = 3;

/// GETs that wait once the egress budget is used up; past either bound they fail.
constexpr std::size_t kMaxSlowed = 256;
constexpr auto kMaxSlowedTime = std::chrono::seconds(20);
/// The month may end, or the clock be set, while they wait.
constexpr auto kSlowedCheck = std::chrono::seconds(1);
constexpr const char* kBudgetUsedUp =
    "the month's egress budget is used up, and too much is asked for at the rate that is left";

HttpTransfersOptions transfers_options(const S3Options& options, const Endpoint& endpoint) {
    HttpTransfersOptions out;
    out.max_transfers = options.max_transfers;
    out.ca_file = options.ca_file;
    out.ca_path = options.ca_path;
    out.connect_timeout = options.connect_timeout;
    out.stall_timeout = options.stall_timeout;
    out.avoid_proxies = endpoint.loopback;
    return out;
}

CircuitBreaker::Options breaker_options(const S3Options& options) {
    return {.failures = options.breaker_failures,
            .min_silence = options.breaker_min_silence,
            .min_wait = options.breaker_min_wait,
            .max_wait = options.breaker_max_wait};
}

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

struct Client::Request {
    Request(Id the_id, EventLoop& loop) : id(the_id), retry(loop) {}

    const Id id;
    Call call;
    Exchange::OnProgress on_progress;
    OnReply on_reply;

    int attempts = 0;
    bool clock_corrected = false;
    bool conditional = false;    ///< how the attempt under way was sent
    bool unconditional = false;  ///< this one goes without the condition
    bool certain = false;        ///< and it was surely the condition that was refused
    bool queued = false;
    CircuitBreaker::Pass pass = CircuitBreaker::Pass::kYes;  ///< of the attempt under way
    std::uint64_t era = 0;  ///< of the limit, when the attempt was sent
    std::uint64_t egress_taken = 0;
    TimePoint slowed_until{};
    TimePoint first_sent{};
    TimePoint sent{};
    Timer retry;
    std::unique_ptr<HttpTransfers::Handle> transfer;
};

Client::Client(EventLoop& loop, const Clock& clock, Random& random, S3Options options,
               Endpoint endpoint, std::unique_ptr<CredentialsSource> credentials)
    : loop_(loop),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      credentials_(std::move(credentials)),
      egress_(loop, clock, options_),
      stats_(options_.metrics),
      transfers_(loop, transfers_options(options_, endpoint_)),
      slowed_timer_(loop),
      limit_(options_.max_transfers),
      retry_budget_({.percent = options_.retry_percent, .floor = options_.retry_floor}),
      breaker_(breaker_options(options_)) {
    show();
}

Client::~Client() = default;

// --- in, and out to the wire -------------------------------------------------------------------

bool Client::has_room(const Call& call) const {
    return queue_.size() < kMaxQueuedCalls && queued_bytes_ + call.body_bytes() <= kMaxQueuedBytes;
}

void Client::start(Id id, Call call, Exchange::OnProgress on_progress, OnReply on_reply) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    KOLLATOR_CHECK(requests_.count(id) == 0);
    auto& request = requests_[id];
    request = std::make_unique<Request>(id, loop_);
    request->call = std::move(call);
    request->on_progress = std::move(on_progress);
    request->on_reply = std::move(on_reply);
    if (breaker_.refuses(clock_.now())) {
        stats_.on_refused();
        fail_later(*request, circuit_open());
    } else if (!has_room(request->call)) {
        fail_later(*request,
                   make_error(ErrorCode::kLimit, "too many requests wait for the object store"));
    } else if (request->call.again && !retry_budget_.try_take(clock_.now())) {
        stats_.on_retry_refused();
        fail_later(*request, make_error(ErrorCode::kCorrupt,
                                        "wrong bytes, and no retry is left in this minute"));
    } else {
        enter(*request);
    }
}

void Client::enter(Request& request) {
    if (!egress_.limits() || !request.call.keep_body) {
        enqueue(request, false);
        pump();
    } else if (slowed_.size() >= kMaxSlowed) {
        fail_later(request, make_error(ErrorCode::kUnavailable, kBudgetUsedUp));
    } else {
        request.slowed_until = clock_.now() + kMaxSlowedTime;
        slowed_.push_back(request.id);
        pump_slowed();
    }
}

void Client::pump_slowed() {
    while (!slowed_.empty()) {
        Request& request = *requests_.at(slowed_.front());
        const Duration wait =
            egress_.limits() ? egress_.try_take(request.call.max_body_bytes) : Duration::zero();
        if (wait > Duration::zero() && clock_.now() < request.slowed_until) {
            slowed_timer_.start_after(std::min<Duration>(wait, kSlowedCheck),
                                      [this] { pump_slowed(); });
            break;
        }
        slowed_.pop_front();
        if (wait > Duration::zero()) {
            fail_later(request, make_error(ErrorCode::kUnavailable, kBudgetUsedUp));
            continue;
        }
        request.egress_taken = request.call.max_body_bytes;
        enqueue(request, false);
    }
    pump();
}

/// What came may be less than what was allowed for; of a failure nothing is known.
void Client::give_back_egress(const Request& request, const HttpResponse& response) {
    if (request.egress_taken == 0) return;
    const std::uint64_t came = response.body ? response.body->size() : response.text.size();
    if (came < request.egress_taken && response.fault == Fault::kNone) {
        egress_.give_back(request.egress_taken - came);
    }
}

void Client::fail_later(Request& request, Error error) {
    loop_.post([weak = weak_from_this(), id = request.id, error = std::move(error)] {
        if (const auto self = weak.lock()) self->finish(id, error);
    });
}

void Client::cancel(Id id) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) return;
    // Out of the map first: what the callbacks hold may call back in here when it goes.
    const auto request = std::move(found->second);
    requests_.erase(found);
    if (request->queued) {
        queue_.erase(std::find(queue_.begin(), queue_.end(), id));
        queued_bytes_ -= request->call.body_bytes();
    }
    std::erase(slowed_, id);
    if (request->transfer) {
        request->transfer.reset();
        breaker_.on_cancelled(request->pass);
        --in_flight_;
    }
    pump();
    show();
}

/// A retry goes first: it has waited longest.
void Client::enqueue(Request& request, bool first) {
    request.queued = true;
    queued_bytes_ += request.call.body_bytes();
    if (first) {
        queue_.push_front(request.id);
    } else {
        queue_.push_back(request.id);
    }
}

Client::Request& Client::take_queued() {
    Request& request = *requests_.at(queue_.front());
    queue_.pop_front();
    request.queued = false;
    queued_bytes_ -= request.call.body_bytes();
    return request;
}

/// What waits when the circuit opens fails with it.
void Client::pump() {
    while (!queue_.empty() && (in_flight_ < limit_.value() || breaker_.refuses(clock_.now()))) {
        const auto pass = breaker_.pass(clock_.now());
        Request& request = take_queued();
        if (pass == CircuitBreaker::Pass::kNo) {
            stats_.on_refused();
            fail_later(request, circuit_open());
        } else {
            dispatch(request, pass);
        }
    }
}

void Client::dispatch(Request& request, CircuitBreaker::Pass pass) {
    request.sent = clock_.now();
    if (request.attempts == 0) {
        request.first_sent = request.sent;
        if (!request.call.again) retry_budget_.note_request(request.sent);
    }
    ++request.attempts;
    request.pass = pass;
    request.era = limit_.era();
    request.conditional = request.call.only_if_absent && conditions_ != Conditions::kMissing &&
                          !request.unconditional;
    ++in_flight_;
    stats_.on_sent(request.attempts > 1 || request.call.again);
    show();
    const SigningContext context{endpoint_, credentials_->current(), options_, corrected_now()};
    request.transfer = transfers_.start(
        build_request(request.call, context, request.conditional), request.on_progress,
        [weak = weak_from_this(), id = request.id](HttpResponse response) {
            if (const auto self = weak.lock()) self->on_response(id, std::move(response));
        });
}

// --- the answer ----------------------------------------------------------------------------------

bool Client::is_clock_off(const HttpResponse& response) const {
    if (!response.server_time) return false;
    const Duration ahead = *response.server_time - corrected_now();
    return ahead > kNoticeableSkew || ahead < -kNoticeableSkew;
}

void Client::on_response(Id id, HttpResponse response) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) return;
    Request& request = *found->second;
    request.transfer.reset();
    --in_flight_;
    give_back_egress(request, response);
    const ErrorResponse document =
        response.status >= 300 ? parse_error(response.text) : ErrorResponse{};
    Attempt attempt;
    attempt.method = request.call.method;
    attempt.fault = response.fault;
    attempt.status = response.status;
    attempt.code = document.code;
    attempt.has_text = !response.text.empty();
    attempt.has_etag = response.has_etag;
    attempt.conditional = request.conditional;
    attempt.conditions_known = conditions_ == Conditions::kWork;
    attempt.clock_is_off = is_clock_off(response);
    const Verdict verdict = judge(attempt);
    Error failure = failure_of(request, verdict, response, document);
    stats_.on_ended(operation_of(request.call), ending_of(attempt, verdict),
                    clock_.now() - request.sent);
    if (is_outage(attempt, verdict)) last_outage_ = failure.detail;
    note_health(request, attempt, verdict);
    learn_conditions(request, attempt, verdict);
    // The last: it may call the store's user, who may destroy the store.
    const auto self = shared_from_this();
    settle(request, attempt, verdict, std::move(response), std::move(failure));
    pump();
    show();
}

void Client::note_health(const Request& request, const Attempt& attempt, const Verdict& verdict) {
    if (!is_outage(attempt, verdict)) {
        if (!breaker_.on_answer(clock_.now())) return;
        kLog.info("endpoint={} circuit=closed", endpoint_.origin);
    } else if (breaker_.on_outage(clock_.now(), request.pass)) {
        kLog.error("endpoint={} circuit=open failures={} last=\"{}\"", endpoint_.origin,
                   breaker_.outages(), last_outage_);
    }
}

void Client::settle(Request& request, const Attempt& attempt, const Verdict& verdict,
                    HttpResponse response, Error failure) {
    switch (verdict.action) {
        case Action::kSucceed:
        case Action::kAlreadyThere:
            limit_.on_success(clock_.now());
            finish(request.id, Reply{std::move(response), verdict.action == Action::kAlreadyThere});
            return;
        case Action::kFail:
            break;
        case Action::kRetrySlower:
            slow_down(request);
            retry_later(request, std::move(failure));
            return;
        case Action::kRetry:
            retry_later(request, std::move(failure));
            return;
        case Action::kCorrectClock:
            if (!correct_clock(request, response)) break;
            send_again(request, std::move(failure));
            return;
        case Action::kRetryUnconditional:
            request.unconditional = true;
            request.certain = attempt.status == 501 || attempt.code == "NotImplemented";
            send_again(request, std::move(failure));
            return;
    }
    finish(request.id, std::move(failure));
}

// --- once more
// -------------------------------------------------------------------------------------

bool Client::may_retry(const Request& request, Duration wait) const {
    return request.attempts < options_.max_attempts &&
           clock_.now() + wait <= request.first_sent + options_.retry_window;
}

void Client::send_again(Request& request, Error failure) {
    if (!retry_budget_.try_take(clock_.now())) {
        stats_.on_retry_refused();
        finish(request.id, std::move(failure));
        return;
    }
    enqueue(request, true);
}

void Client::retry_later(Request& request, Error failure) {
    const Duration wait =
        backoff(request.attempts + 1, options_.backoff_base, options_.backoff_cap, random_);
    if (!may_retry(request, wait)) return finish(request.id, std::move(failure));
    if (!retry_budget_.try_take(clock_.now())) {
        stats_.on_retry_refused();
        failure.detail += " (not tried again: the retry budget of this minute is used up)";
        return finish(request.id, std::move(failure));
    }
    kLog.debug("retry_in_ms={:.0f} attempt={} error={} detail=\"{}\"", seconds(wait) * 1000,
               request.attempts, kollator::to_string(failure.code), failure.detail);
    request.retry.start_after(wait, [this, id = request.id] {
        // The timer is the request's, which is ours: both live when it fires.
        enqueue(*requests_.at(id), true);
        pump();
    });
}

bool Client::correct_clock(Request& request, const HttpResponse& response) {
    if (request.clock_corrected || !response.server_time) return false;
    request.clock_corrected = true;
    clock_offset_ = *response.server_time - clock_.wall_now();
    kLog.warn("endpoint={} clock_is_wrong_by_s={:.0f} advice=\"set this machine's clock\"",
              endpoint_.origin, seconds(clock_offset_));
    return true;
}

/// Found out once and remembered: a 412 proves that the server keeps conditions; a PUT that was
/// refused with its condition and accepted without proves that it does not, in the end.
void Client::learn_conditions(const Request& request, const Attempt& attempt,
                              const Verdict& verdict) {
    if (conditions_ != Conditions::kUnknown) return;
    if (verdict.action == Action::kAlreadyThere) conditions_ = Conditions::kWork;
    if (verdict.action != Action::kSucceed || !request.unconditional) return;
    condition_doubts_ += request.certain ? kCertainDoubts : 1;
    if (attempt.method != Method::kPut || condition_doubts_ < kCertainDoubts) return;
    conditions_ = Conditions::kMissing;
    kLog.info("endpoint={} conditional_writes=no", endpoint_.origin);
}

void Client::slow_down(const Request& request) {
    if (!limit_.on_too_much(request.era, clock_.now())) return;
    kLog.warn("endpoint={} says=slow-down requests_at_once={}", endpoint_.origin, limit_.value());
}

// --- what people are told
// ----------------------------------------------------------------------------

bool Client::holds_a_secret(const std::string& text) const {
    const Credentials& used = credentials_->current();
    for (const std::string& secret : {used.access_key, used.secret_key, used.session_token}) {
        if (!secret.empty() && text.find(secret) != std::string::npos) return true;
    }
    return false;
}

Error Client::failure_of(const Request& request, const Verdict& verdict,
                         const HttpResponse& response, const ErrorResponse& document) const {
    std::string detail =
        fmt::format("{} {}: ", to_string(request.call.method),
                    request.call.key.empty() ? endpoint_.origin : request.call.key);
    if (response.fault != Fault::kNone) {
        detail += response.fault_detail;
    } else {
        detail += std::to_string(response.status);
        if (response.status < 300) detail += " without an ETag, as no S3 server answers";
        if (!document.code.empty()) detail += " " + document.code;
        if (!document.message.empty()) detail += ", " + document.message;
    }
    if (const std::string_view advice = advice_for(document.code); !advice.empty()) {
        detail += fmt::format(" ({})", advice);
    }
    // A server may repeat what we sent.
    if (holds_a_secret(detail)) {
        detail = fmt::format("{}: {}", to_string(request.call.method), response.status);
    }
    return make_error(verdict.error, std::move(detail));
}

Error Client::circuit_open() const {
    return make_error(
        ErrorCode::kUnavailable,
        fmt::format("not asked, since {} requests in a row failed; tried again in {:.1f} s; last: "
                    "{}",
                    breaker_.outages(), seconds(breaker_.wait_left(clock_.now())), last_outage_));
}

void Client::finish(Id id, Result<Reply> result) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) return;
    const auto request = std::move(found->second);
    requests_.erase(found);
    request->on_reply(std::move(result));
}

void Client::show() {
    stats_.show_load(in_flight_, limit_.value(), breaker_.state());
    const std::uint64_t downloaded_bytes = transfers_.downloaded_bytes();
    stats_.show_bytes(transfers_.sent_bytes(), downloaded_bytes);
    egress_.note_total(downloaded_bytes);
    if (const auto egress = egress_.stats()) stats_.show_egress(*egress);
}

StoreStats Client::stats() const {
    StoreStats stats = stats_.snapshot();
    stats.sent_bytes = transfers_.sent_bytes();
    stats.downloaded_bytes = transfers_.downloaded_bytes();
    stats.egress = egress_.stats();
    return stats;
}

std::vector<StoreCheck> Client::checks() const {
    std::vector<StoreCheck> checks;
    const bool closed = breaker_.state() == BreakerState::kClosed;
    std::string detail(store::to_string(breaker_.state()));
    if (!closed) detail += ": " + circuit_open().detail;
    checks.push_back({"circuit", !closed, std::move(detail)});
    if (auto check = credentials_->check()) checks.push_back(std::move(*check));
    if (auto check = egress_.check()) checks.push_back(std::move(*check));
    return checks;
}

void Client::count_upload(ObjectKind kind, std::uint64_t size_bytes) {
    stats_.on_stored(kind, size_bytes);
}

}  // namespace kollator::store::s3
