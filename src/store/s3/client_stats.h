#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/metrics.h"
#include "base/time.h"
#include "store/object_store.h"
#include "store/s3/verdict.h"

namespace kollator::store::s3 {

enum class Operation : std::uint8_t { kGet, kPut, kHead, kList, kDelete };

/// How an attempt ended, for counters: fewer names than there are error codes.
enum class Ending : std::uint8_t {
    kOk,
    kNotFound,
    kAlreadyThere,
    kSlowDown,     ///< too many requests
    kServerError,  ///< 5xx
    kRefused,      ///< 3xx, 4xx: credentials, rights, bucket, a request it does not understand
    kUnreachable,
    kTimeout,
    kTruncated,
    kTls,
    kLimit,  ///< ended by us: a body over its bound or budget
};
Ending ending_of(const Attempt& attempt, const Verdict& verdict);

/// What the client did, as numbers and, with a registry, as metrics. Loop thread only.
class ClientStats {
 public:
    explicit ClientStats(MetricsRegistry* registry);
    ~ClientStats();

    void on_sent(bool retry);
    void on_ended(Operation operation, Ending ending, Duration took);
    void on_retry_refused();
    void on_refused();
    void on_stored(ObjectKind kind, std::uint64_t size_bytes);
    void show_load(std::size_t in_flight, std::size_t limit, BreakerState breaker);
    /// Totals of the transfers; they only grow.
    void show_bytes(std::uint64_t sent_bytes, std::uint64_t downloaded_bytes);
    void show_egress(const EgressStats& egress);

    StoreStats snapshot() const;

 private:
    struct Metrics;

    MetricsRegistry* const registry_;
    const std::unique_ptr<Metrics> metrics_;
    StoreStats stats_;
    struct Answers {
        std::uint64_t count = 0;
        std::optional<Counter> counter;
    };
    std::map<std::pair<Operation, Ending>, Answers> answers_;
};

}  // namespace kollator::store::s3
