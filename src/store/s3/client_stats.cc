#include "store/s3/client_stats.h"

#include <algorithm>
#include <string>

namespace kollator::store::s3 {
namespace {

std::string_view name_of(Operation operation) {
    switch (operation) {
        case Operation::kGet:
            return "get";
        case Operation::kPut:
            return "put";
        case Operation::kHead:
            return "head";
        case Operation::kList:
            return "list";
        case Operation::kDelete:
            break;
    }
    return "delete";
}

std::string_view name_of(Ending ending) {
    switch (ending) {
        case Ending::kOk:
            return "ok";
        case Ending::kNotFound:
            return "not_found";
        case Ending::kAlreadyThere:
            return "already_there";
        case Ending::kSlowDown:
            return "slow_down";
        case Ending::kServerError:
            return "server_error";
        case Ending::kRefused:
            return "refused";
        case Ending::kUnreachable:
            return "unreachable";
        case Ending::kTimeout:
            return "timeout";
        case Ending::kTruncated:
            return "truncated";
        case Ending::kTls:
            return "tls";
        case Ending::kLimit:
            break;
    }
    return "limit";
}

/// What the operator need not look at.
bool is_fine(Ending ending) {
    return ending == Ending::kOk || ending == Ending::kNotFound || ending == Ending::kAlreadyThere;
}

Ending ending_of(Fault fault) {
    switch (fault) {
        case Fault::kTimeout:
            return Ending::kTimeout;
        case Fault::kTruncated:
            return Ending::kTruncated;
        case Fault::kTls:
            return Ending::kTls;
        case Fault::kTooLarge:
        case Fault::kNoMemory:
            return Ending::kLimit;
        case Fault::kNoLength:
            return Ending::kRefused;
        case Fault::kNone:
        case Fault::kUnreachable:
        case Fault::kMisconfigured:
            break;
    }
    return Ending::kUnreachable;
}

constexpr const char* kRequests = "kollator_store_requests_total";
constexpr const char* kRequestsHelp =
    "Requests to the object store that ended, retries included, by what was asked and how it ended";

}  // namespace

Ending ending_of(const Attempt& attempt, const Verdict& verdict) {
    if (attempt.fault != Fault::kNone) return ending_of(attempt.fault);
    switch (verdict.action) {
        case Action::kSucceed:
            return Ending::kOk;
        case Action::kAlreadyThere:
            return Ending::kAlreadyThere;
        case Action::kRetrySlower:
            return Ending::kSlowDown;
        default:
            break;
    }
    if (verdict.error == ErrorCode::kNotFound) return Ending::kNotFound;
    return attempt.status >= 500 ? Ending::kServerError : Ending::kRefused;
}

struct ClientStats::Metrics {
    explicit Metrics(MetricsRegistry& registry)
        : errors(registry.counter("kollator_store_errors_total",
                                  "Requests to the object store that failed")),
          retries(registry.counter("kollator_store_retries_total",
                                   "Requests to the object store sent again")),
          retries_refused(registry.counter("kollator_store_retries_refused_total",
                                           "Retries that the retry budget did not allow")),
          refused(registry.counter("kollator_store_refused_total",
                                   "Requests failed at once while the circuit was open")),
          uploaded(registry.counter("kollator_store_uploaded_bytes_total",
                                    "Bytes stored in the object store")),
          sent(registry.counter("kollator_store_sent_bytes_total",
                                "Bytes of bodies sent to the object store, repeats included")),
          downloaded(registry.counter("kollator_store_downloaded_bytes_total",
                                      "Bytes received from the object store")),
          in_flight(registry.gauge("kollator_store_requests_in_flight",
                                   "Requests to the object store under way")),
          in_flight_limit(registry.gauge("kollator_store_requests_in_flight_limit",
                                         "As many at once at the most; less after SlowDown")),
          circuit(registry.gauge("kollator_store_circuit_state",
                                 "The circuit breaker: 0 closed, 1 half-open, 2 open")),
          seconds(registry.histogram("kollator_store_request_seconds",
                                     "Duration of a request to the object store",
                                     {0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})) {}

    Counter errors;
    Counter retries;
    Counter retries_refused;
    Counter refused;
    Counter uploaded;
    Counter sent;
    Counter downloaded;
    Gauge in_flight;
    Gauge in_flight_limit;
    Gauge circuit;
    Histogram seconds;

    struct Egress {
        explicit Egress(MetricsRegistry& registry)
            : used(registry.gauge("kollator_store_egress_month_bytes",
                                  "Received in this calendar month (UTC)")),
              budget(registry.gauge("kollator_store_egress_budget_bytes",
                                    "What may be received in a calendar month; 0: no budget")),
              limited(registry.gauge("kollator_store_egress_limited",
                                     "1 where the budget is used up and misses are slowed")) {}
        Gauge used;
        Gauge budget;
        Gauge limited;
    };
    std::optional<Egress> egress;  ///< where it is counted
};

ClientStats::ClientStats(MetricsRegistry* registry)
    : registry_(registry),
      metrics_(registry != nullptr ? std::make_unique<Metrics>(*registry) : nullptr) {}

ClientStats::~ClientStats() = default;

void ClientStats::on_sent(bool retry) {
    ++stats_.requests;
    if (!retry) return;
    ++stats_.retries;
    if (metrics_) metrics_->retries.add();
}

void ClientStats::on_ended(Operation operation, Ending ending, Duration took) {
    Answers& answers = answers_[{operation, ending}];
    ++answers.count;
    if (!is_fine(ending)) ++stats_.errors;
    if (!metrics_) return;
    if (!answers.counter) {
        answers.counter = registry_->counter(kRequests, kRequestsHelp,
                                             {{"operation", std::string(name_of(operation))},
                                              {"result", std::string(name_of(ending))}});
    }
    answers.counter->add();
    if (!is_fine(ending)) metrics_->errors.add();
    metrics_->seconds.observe(std::chrono::duration<double>(took).count());
}

void ClientStats::on_retry_refused() {
    ++stats_.retries_refused;
    if (metrics_) metrics_->retries_refused.add();
}

void ClientStats::on_refused() {
    ++stats_.refused;
    if (metrics_) metrics_->refused.add();
}

void ClientStats::on_stored(ObjectKind kind, std::uint64_t size_bytes) {
    stats_.uploaded_chunks += kind == ObjectKind::kChunk ? 1 : 0;
    stats_.uploaded_bytes += size_bytes;
    if (metrics_) metrics_->uploaded.add(static_cast<double>(size_bytes));
}

void ClientStats::show_load(std::size_t in_flight, std::size_t limit, BreakerState breaker) {
    stats_.in_flight = static_cast<std::uint32_t>(in_flight);
    stats_.in_flight_limit = static_cast<std::uint32_t>(limit);
    stats_.breaker = breaker;
    if (!metrics_) return;
    metrics_->in_flight.set(static_cast<double>(in_flight));
    metrics_->in_flight_limit.set(static_cast<double>(limit));
    metrics_->circuit.set(static_cast<double>(breaker));
}

void ClientStats::show_bytes(std::uint64_t sent_bytes, std::uint64_t downloaded_bytes) {
    if (metrics_) {
        metrics_->sent.add(static_cast<double>(sent_bytes - stats_.sent_bytes));
        metrics_->downloaded.add(static_cast<double>(downloaded_bytes - stats_.downloaded_bytes));
    }
    stats_.sent_bytes = sent_bytes;
    stats_.downloaded_bytes = downloaded_bytes;
}

void ClientStats::show_egress(const EgressStats& egress) {
    stats_.egress = egress;
    if (!metrics_) return;
    if (!metrics_->egress) metrics_->egress.emplace(*registry_);
    metrics_->egress->used.set(static_cast<double>(egress.used_bytes));
    metrics_->egress->budget.set(static_cast<double>(egress.budget_bytes));
    metrics_->egress->limited.set(egress.limited ? 1 : 0);
}

StoreStats ClientStats::snapshot() const {
    StoreStats stats = stats_;
    for (const auto& [key, answers] : answers_) {
        stats.answers.push_back({name_of(key.first), name_of(key.second), answers.count});
    }
    return stats;
}

}  // namespace kollator::store::s3
