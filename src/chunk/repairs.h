#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>

#include "base/ids.h"
#include "chunk/fetcher.h"
#include "chunk/options.h"
#include "loop/event_loop.h"

namespace kollator::chunk {

/// Fetches anew what was damaged in the cache, as if somebody had asked for it: verified, and
/// offered to the cache, which has the room that it took. A few at a time; with more waiting than
/// kMaxWaiting, or with the object store out of reach, the next request does it. Loop thread only.
class Repairs {
 public:
    static constexpr std::size_t kParallel = 2;
    static constexpr std::size_t kMaxWaiting = 1000;

    /// All references outlive it.
    Repairs(EventLoop& loop, Fetcher& fetcher, std::shared_ptr<BlobKind> kind, Tally& tally);
    ~Repairs();
    Repairs(const Repairs&) = delete;
    Repairs& operator=(const Repairs&) = delete;

    void repair(const ChunkId& id);
    std::size_t waiting() const { return waiting_.size() + under_way_.size(); }

 private:
    class Repair;

    void pump();
    void look_soon();
    void look();

    EventLoop& loop_;
    Fetcher& fetcher_;
    const std::shared_ptr<BlobKind> kind_;
    Tally& tally_;
    std::deque<ChunkId> waiting_;
    std::map<ChunkId, std::unique_ptr<Repair>> under_way_;
    bool looking_ = false;  // posted
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
