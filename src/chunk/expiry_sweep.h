#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "chunk/deletions.h"
#include "loop/event_loop.h"
#include "store/object_store.h"

namespace kollator::chunk {

struct ExpiryOptions {
    std::chrono::seconds max_age{0};  ///< since an object was stored; REQUIRES: over zero
    Duration first_after = std::chrono::minutes(5);  ///< not while a worker is starting
    Duration interval = std::chrono::hours(24);      ///< from the end of a pass to the next
    Duration retry_after = std::chrono::hours(1);    ///< from a pass that the store ended
    Duration pause = std::chrono::seconds(1);        ///< between two pages of 1,000 objects
};

/// Deletes objects that were stored too long ago: lists the whole store once a day, page by page,
/// and removes one object after the other, so that it never takes much of what clients need.
/// Objects whose age the store does not tell stay. Loop thread only; destroying it ends it.
class ExpirySweep {
 public:
    using Remove = std::function<void(const store::ObjectKey& key, Deletions::OnRemoved on_done)>;

    struct Stats {
        std::uint64_t passes = 0;   ///< that came to their end
        std::uint64_t seen = 0;     ///< objects looked at
        std::uint64_t expired = 0;  ///< removed, or waiting for that
        std::uint64_t failures = 0;
        std::int64_t finished_s = 0;  ///< when the last pass came to its end, since 1970; 0: never
    };

    /// `loop`, `clock` and `store` outlive it.
    ExpirySweep(EventLoop& loop, const Clock& clock, store::ObjectStore& store, Remove remove,
                ExpiryOptions options);

    const Stats& stats() const { return stats_; }

 private:
    void begin();
    void ask();
    void on_page(const Result<store::ListPage>& page);
    void remove_next();
    void end_pass(Duration next_after);
    std::int64_t now_s() const;

    // injected
    EventLoop& loop_;
    const Clock& clock_;
    store::ObjectStore& store_;
    const Remove remove_;
    const ExpiryOptions options_;

    // state
    Stats stats_;
    store::ObjectKind kind_ = store::ObjectKind::kChunk;
    std::array<std::uint8_t, 32> after_{};
    bool more_ = false;
    std::vector<store::ObjectKey> expired_;  // of this page, the last one first
    store::TransferHandle transfer_;
    Timer timer_;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
