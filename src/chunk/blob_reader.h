#pragma once

#include <memory>
#include <optional>

#include "chunk/chunk_service.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {

/// A Reader that takes its bytes where they are: from the cache, in windows that are verified as
/// they are read; from a fetch under way; and from one to the other when the fetch has become a
/// cached chunk, or the cached chunk turns out to be damaged. What it holds is a window.
class BlobReader final : public Reader, private FetchReader {
 public:
    struct Range {
        std::uint32_t offset = 0;
        std::uint32_t length = 0;  ///< 0: to the end
        bool for_fellow = false;   ///< a fellow worker asks: no other fellow is asked
    };

    /// `fetcher_alive` expires before `fetcher` goes.
    BlobReader(EventLoop& loop, Fetcher& fetcher, std::weak_ptr<int> fetcher_alive, Tally& tally,
               std::shared_ptr<BlobKind> kind, const store::ObjectKey& key, Range range,
               ChunkService::OnReady on_ready);
    ~BlobReader() override;

    std::uint32_t total_bytes() const override { return total_; }
    std::uint32_t position() const override { return position_; }
    bool finished() const override { return total_ > 0 && position_ == end_ && has_bytes_; }
    Result<std::optional<BufferSlice>> next(std::uint32_t max_bytes) override;

 private:
    using Piece = Result<std::optional<BufferSlice>>;

    void fetch_changed() override { wake(); }
    bool has_bytes() const override { return has_bytes_; }
    bool may_come_back() const override { return finished() && end_ - range_.offset < total_; }
    bool for_fellow() const override { return range_.for_fellow; }

    void join_fetch();
    void leave_fetch();
    Status resolve(std::uint32_t total);
    Status step();
    Status step_cached();
    Status step_fetch();
    Status take_from_buffer();
    std::size_t ready_bytes() const;
    bool worth_calling();
    void read_cached(std::uint32_t length);
    void cached_failed(const Error& error);
    void wake();
    void look_whether_hidden();

    // injected
    EventLoop& loop_;
    Fetcher& fetcher_;
    const std::weak_ptr<int> fetcher_alive_;
    Tally& tally_;
    const std::shared_ptr<BlobKind> kind_;
    const store::ObjectKey key_;
    const Range range_;
    const ChunkService::OnReady on_ready_;

    // state
    std::shared_ptr<cache::CachedChunk> cached_;  // one of these two, or error_
    FetchPtr fetch_;
    std::optional<Error> error_;
    std::optional<BufferSlice> window_;  // verified or given at this position, not given out yet
    std::uint32_t max_bytes_ = 0;        // of the call of next() under way
    std::uint32_t total_ = 0;
    std::uint32_t position_ = 0;
    std::uint32_t end_ = 0;
    unsigned first_generation_ = 0;  // of fetch_, from which bytes were given; 0: none yet
    unsigned source_changes_ = 0;
    std::uint64_t seen_generation_ = 0;  // of the hidden names
    bool window_is_cached_ = false;      // of a request that found its chunk cached
    bool has_bytes_ = false;
    bool reading_ = false;  // cached_->read() is under way
    bool waiting_ = false;  // next() gave nothing: on_ready is owed
    bool woken_ = false;    // and posted
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::chunk
