#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "store/s3/endpoint.h"
#include "store/s3/http_transfers.h"
#include "store/s3/responses.h"
#include "store/s3/signer.h"

namespace kollator::store::s3 {

/// One request on the bucket, before it is signed.
struct Call {
    Method method = Method::kGet;
    std::string key;  ///< below the bucket, of characters that need no encoding; empty: the bucket
    std::vector<NameValue> query;
    std::string range;  ///< the Range header's value; may be empty
    SharedBuffer body;
    std::string payload_hash;  ///< hex; empty: of no bytes
    bool only_if_absent = false;
    bool keep_body = false;
    std::uint64_t max_body_bytes = 0;
    ByteBudget* budget = nullptr;
};

struct Reply {
    HttpResponse response;
    bool already_there = false;  ///< the answer to only_if_absent
};

/// Signs, queues, sends, judges and sends again: the only place where requests to the object store
/// are retried. Loop thread only; made by std::make_shared.
///
///   start ─▶ queued ─▶ in flight ─▶ judged ─▶ done
///              ▲                      │
///              └──── waits a back-off ┘
class Client : public std::enable_shared_from_this<Client> {
 public:
    using Id = std::uint64_t;
    using OnReply = std::function<void(Result<Reply>)>;

    Client(EventLoop& loop, const Clock& clock, Random& random, S3Options options,
           Endpoint endpoint);
    ~Client();

    Id next_id() { return ++last_id_; }
    /// REQUIRES: no call of this id is under way. `on_reply` may start the next one under it.
    void start(Id id, Call call, Exchange::OnProgress on_progress, OnReply on_reply);
    void cancel(Id id);

    StoreStats stats() const;
    void count_upload(ObjectKind kind, std::uint64_t size_bytes);
    const Endpoint& endpoint() const { return endpoint_; }

 private:
    struct Operation;
    struct Metrics;

    bool has_room(const Call& call) const;
    void enqueue(Operation& operation, bool first);
    void pump();
    void dispatch(Operation& operation);
    HttpRequest sign(const Operation& operation) const;
    void on_response(Id id, HttpResponse response);
    void count(const Operation& operation, const Verdict& verdict);
    void settle(Operation& operation, const Verdict& verdict, const ErrorResponse& document,
                HttpResponse response);
    bool may_retry(const Operation& operation, Duration wait) const;
    void retry_later(Operation& operation, const Verdict& verdict, Error failure);
    bool correct_clock(Operation& operation, const HttpResponse& response);
    void slow_down(const Operation& operation);
    void speed_up();
    bool is_clock_off(const HttpResponse& response) const;
    WallTime corrected_now() const { return clock_.wall_now() + clock_offset_; }
    Error failure_of(const Operation& operation, const Verdict& verdict,
                     const HttpResponse& response, const ErrorResponse& document) const;
    bool holds_a_secret(const std::string& text) const;
    void finish(Id id, Result<Reply> result);

    // Injected.
    EventLoop& loop_;
    const Clock& clock_;
    Random& random_;
    const S3Options options_;
    const Endpoint endpoint_;
    const Credentials credentials_;

    // Owned; the transfers before the operations, whose handles must go first.
    std::unique_ptr<Metrics> metrics_;
    HttpTransfers transfers_;
    std::unordered_map<Id, std::unique_ptr<Operation>> operations_;
    std::deque<Id> queue_;

    // State.
    Id last_id_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t queued_bytes_ = 0;
    std::size_t limit_;             ///< in flight at once; between 1 and max_transfers
    std::size_t successes_ = 0;     ///< since limit_ last changed
    std::uint64_t slow_downs_ = 0;  ///< a burst of refusals counts once
    Duration clock_offset_{};       ///< what the server's clock is ahead of ours
    bool conditions_work_ = true;   ///< until the server says that it does not know them
    StoreStats stats_;
};

}  // namespace kollator::store::s3
