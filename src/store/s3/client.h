#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/s3/call.h"
#include "store/s3/circuit_breaker.h"
#include "store/s3/client_stats.h"
#include "store/s3/concurrency_limit.h"
#include "store/s3/credentials_source.h"
#include "store/s3/egress_meter.h"
#include "store/s3/endpoint.h"
#include "store/s3/http_transfers.h"
#include "store/s3/responses.h"
#include "store/s3/retry_budget.h"

namespace kollator::store::s3 {

struct Reply {
    HttpResponse response;
    bool already_there = false;  ///< the answer to only_if_absent
};

/// Signs, queues, sends, judges and sends again: the only place where requests to the object store
/// are retried. Loop thread only; made by std::make_shared.
///
///   start ─▶ (slowed ─▶) queued ─▶ in flight ─▶ judged ─▶ done
///     │                    ▲ │                    │         ▲
///     │                    └─┼─ waits a back-off ─┘         │
///     └──────────────────────┴─ the circuit is open ────────┘
///
/// Slowed are GETs of objects once the month's egress budget is used up.
class Client : public std::enable_shared_from_this<Client> {
 public:
    using Id = std::uint64_t;
    using OnReply = std::function<void(Result<Reply>)>;

    Client(EventLoop& loop, const Clock& clock, Random& random, S3Options options,
           Endpoint endpoint, std::unique_ptr<CredentialsSource> credentials);
    ~Client();

    Id next_id() { return ++last_id_; }
    /// REQUIRES: no call of this id is under way. `on_reply` may start the next one under it.
    void start(Id id, Call call, Exchange::OnProgress on_progress, OnReply on_reply);
    void cancel(Id id);

    StoreStats stats() const;
    std::vector<StoreCheck> checks() const;
    void count_upload(ObjectKind kind, std::uint64_t size_bytes);
    const Endpoint& endpoint() const { return endpoint_; }
    /// False once it is known that the server ignores or refuses If-None-Match.
    bool keeps_conditions() const { return conditions_ != Conditions::kMissing; }

 private:
    struct Request;
    /// What is known of If-None-Match at this server.
    enum class Conditions : std::uint8_t { kUnknown, kWork, kMissing };

    bool has_room(const Call& call) const;
    void enter(Request& request);
    void enqueue(Request& request, bool first);
    void pump_slowed();
    void give_back_egress(const Request& request, const HttpResponse& response);
    Request& take_queued();
    void pump();
    void dispatch(Request& request, CircuitBreaker::Pass pass);
    void fail_later(Request& request, Error error);
    void on_response(Id id, HttpResponse response);
    void note_health(const Request& request, const Attempt& attempt, const Verdict& verdict);
    void settle(Request& request, const Attempt& attempt, const Verdict& verdict,
                HttpResponse response, Error failure);
    void send_again(Request& request, Error failure);
    void retry_later(Request& request, Error failure);
    bool may_retry(const Request& request, Duration wait) const;
    bool correct_clock(Request& request, const HttpResponse& response);
    void learn_conditions(const Request& request, const Attempt& attempt, const Verdict& verdict);
    void slow_down(const Request& request);
    bool is_clock_off(const HttpResponse& response) const;
    WallTime corrected_now() const { return clock_.wall_now() + clock_offset_; }
    Error circuit_open() const;
    Error failure_of(const Request& request, const Verdict& verdict, const HttpResponse& response,
                     const ErrorResponse& document) const;
    bool holds_a_secret(const std::string& text) const;
    void finish(Id id, Result<Reply> result);
    void show();

    // Injected.
    EventLoop& loop_;
    const Clock& clock_;
    Random& random_;
    const S3Options options_;
    const Endpoint endpoint_;

    // Owned; the transfers before the requests, whose handles must go first.
    const std::unique_ptr<CredentialsSource> credentials_;
    EgressMeter egress_;
    ClientStats stats_;
    HttpTransfers transfers_;
    std::unordered_map<Id, std::unique_ptr<Request>> requests_;
    std::deque<Id> queue_;
    std::deque<Id> slowed_;  ///< GETs that wait for their share of the egress rate
    Timer slowed_timer_;

    // State.
    Id last_id_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t queued_bytes_ = 0;
    ConcurrencyLimit limit_;
    RetryBudget retry_budget_;
    CircuitBreaker breaker_;
    std::string last_outage_;  ///< for people; no secret is in it
    Duration clock_offset_{};  ///< what the server's clock is ahead of ours
    Conditions conditions_ = Conditions::kUnknown;
    int condition_doubts_ = 0;  ///< refusals that may have meant the condition
};

}  // namespace kollator::store::s3
