#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "loop/event_loop.h"
#include "store/s3/exchange.h"

namespace kollator::store::s3 {

struct HttpTransfersOptions {
    /// Requests under way at once, each with a connection and an easy handle; both are kept for the
    /// next. The caller keeps its own queue: what waits inside libcurl would already be timed.
    std::size_t max_transfers = 64;
    std::string ca_file;  ///< a PEM bundle; empty: the system's
    std::string ca_path;  ///< a folder of certificates by hash; empty: the system's
    std::chrono::milliseconds connect_timeout{};
    std::chrono::seconds stall_timeout{};  ///< so long with almost nothing moving ends a request
    bool avoid_proxies = false;            ///< else libcurl heeds http_proxy and its like
};

/// A thread with a libcurl multi handle. Every method is called on the loop's thread.
class HttpTransfers {
 public:
    /// A request under way. Destroying it cancels: no callback runs after that.
    class Handle {
     public:
        ~Handle();
        Handle(const Handle&) = delete;
        Handle& operator=(const Handle&) = delete;

     private:
        friend class HttpTransfers;
        Handle(HttpTransfers& transfers, std::shared_ptr<Exchange> exchange)
            : transfers_(transfers), exchange_(std::move(exchange)) {}
        HttpTransfers& transfers_;
        const std::shared_ptr<Exchange> exchange_;
    };

    HttpTransfers(EventLoop& loop, HttpTransfersOptions options);
    /// Ends what is under way and joins the thread.
    /// REQUIRES: no handle is left.
    ~HttpTransfers();

    /// Callbacks run on the loop. REQUIRES: fewer than max_transfers handles exist.
    std::unique_ptr<Handle> start(HttpRequest request, Exchange::OnProgress on_progress,
                                  Exchange::OnDone on_done);

    /// Bytes of bodies received so far, whatever became of them: what a provider bills.
    std::uint64_t downloaded_bytes() const;
    /// Bytes of bodies sent so far.
    std::uint64_t sent_bytes() const;

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator::store::s3
