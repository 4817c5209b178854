#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/time.h"
#include "cluster/chunk_source.h"
#include "loop/event_loop.h"
#include "peer/requests.h"

namespace kollator::cluster {

/// One chunk asked of one fellow: put together as it comes, within a wait. Loop thread only.
class ChunkRequest final : public ChunkSource::Request {
 public:
    struct Params {
        ChunkId id;
        ChunkSource::Options options;
        /// The fellow sent nothing for so long, of this chunk or another: kTimeout.
        Duration wait = Duration::zero();
        Duration deadline = Duration::zero();
        /// When the fellow last sent bytes of any chunk. Who is busy with others is waited for, up
        /// to kMaxWaits.
        std::function<TimePoint()> heard{};
    };
    static constexpr int kMaxWaits = 5;
    /// One who answers other things, but sends no chunks, waits for the object store itself: that
    /// is not quicker for who asks it too.
    static constexpr int kMaxAliveWaits = 2;
    /// Who keeps the list of requests. Told once of each: by its end, before the asker; or, without
    /// a result, when the asker let go of it.
    using OnEnd = std::function<void(ChunkRequest&, const Result<SharedBuffer>* result)>;

    /// `requests` outlives it, or lose() is called before that goes.
    ChunkRequest(EventLoop& loop, peer::Requests& requests, const Params& params,
                 ChunkSource::OnProgress on_progress, ChunkSource::OnDone on_done, OnEnd on_end);
    ~ChunkRequest() override;

    /// Ends with kUnavailable. Not from within fetch().
    void lose(const std::string& reason);
    /// Of the chunk, so far.
    std::size_t received_bytes() const { return received_; }

 private:
    Status take(const protocol::ResponseFragment& fragment);
    void on_answer(const Result<void>& answer);
    void await_more();
    void wait_until(TimePoint when);
    std::optional<TimePoint> waits_on(TimePoint now) const;
    void on_timer();
    void end(Result<SharedBuffer> result);

    // injected
    peer::Requests* requests_;  // null once it has ended
    const Params params_;
    const ChunkSource::OnProgress on_progress_;
    ChunkSource::OnDone on_done_;
    OnEnd on_end_;

    // owned
    Timer timer_;

    // state
    EventLoop& loop_;
    TimePoint own_bytes_at_;
    peer::RequestId request_{};
    std::shared_ptr<Buffer> buffer_;
    std::size_t received_ = 0;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::cluster
