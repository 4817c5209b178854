#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "store/s3/http.h"

namespace kollator::store::s3 {

/// One request under way, shared by the loop, which waits for it, and the transfers' thread, which
/// feeds libcurl with it. The mutex makes cancel() final: once it returned, the other thread
/// touches neither a buffer nor a budget of the caller's. It is held for one copy of at most 256
/// KiB, by a thread that takes it again at once: who waits for it may wait for the whole body. So
/// what has come is shown under a mutex of its own, and a cancelled exchange stops taking the first
/// one. Knows no libcurl.
class Exchange {
 public:
    using OnProgress = std::function<void(const SharedBuffer& buffer, std::size_t available_bytes,
                                          std::uint64_t object_size)>;
    using OnDone = std::function<void(HttpResponse)>;

    Exchange(HttpRequest request, OnProgress on_progress, OnDone on_done);

    // The loop's thread.
    void cancel();
    /// Tells the caller what is there. Nothing after cancel().
    void report_progress();
    /// Hands over the response. Nothing after cancel().
    void complete();
    bool completed() const { return completed_; }

    // The transfers' thread. Where a bool is given, false means: end the transfer.

    Method method() const { return request_.method; }
    const HttpRequest& request() const { return request_; }  ///< but for body and budget
    std::size_t upload_bytes() const { return upload_bytes_; }
    /// Copies the body's bytes from `offset` on; empty when cancelled.
    std::optional<std::size_t> read_upload(std::size_t offset, MutableByteSpan out);
    /// A header line, or the status line of an answer (of several, where a 100 comes first).
    void take_header(std::string_view line);
    bool take_body(ByteSpan piece);
    /// True when the caller should be told of what has come since it was last told.
    bool progress_due();
    /// `fault` counts where none was found before. Call once, as the last.
    void finish(Fault fault, std::string_view detail, std::optional<WallTime> server_time);
    const std::string& date() const { return response_.date; }

 private:
    bool fail(Fault fault, std::string detail);
    bool begin_body();
    bool take_text(ByteSpan piece);
    void show_progress();
    std::uint64_t object_size() const;

    HttpRequest request_;  ///< const but for body and budget, which mutex_ guards
    const std::size_t upload_bytes_;
    const bool wants_progress_;

    // The loop's thread only.
    OnProgress on_progress_;
    OnDone on_done_;
    bool completed_ = false;

    // The transfers' thread only, until finish().
    HttpResponse response_;
    std::size_t reported_bytes_ = 0;

    std::atomic<bool> cancelling_{false};
    std::mutex mutex_;
    // GUARDED_BY(mutex_)
    bool cancelled_ = false;
    std::shared_ptr<Buffer> buffer_;
    std::size_t available_bytes_ = 0;

    std::mutex progress_mutex_;  ///< taken under mutex_, never the other way round
    // GUARDED_BY(progress_mutex_)
    bool progress_posted_ = false;
    std::shared_ptr<Buffer> shown_buffer_;
    std::size_t shown_bytes_ = 0;
    std::uint64_t object_size_ = 0;
};

}  // namespace kollator::store::s3
