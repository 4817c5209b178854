#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "chunk/blob_kind.h"
#include "chunk/hidden_names.h"
#include "chunk/known_names.h"
#include "chunk/options.h"
#include "cluster/chunk_source.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/object_store.h"

namespace kollator::chunk {

/// Who reads a fetch. Told of every change; called from the loop, never from within a call of its
/// own to the fetcher. It must not join or leave a fetch from within.
class FetchReader {
 public:
    virtual ~FetchReader() = default;
    virtual void fetch_changed() = 0;
    /// Whether bytes of this fetch have been given out already.
    virtual bool has_bytes() const = 0;
    /// Nobody asked for it yet: what only such readers read is not kept, and ends with them.
    virtual bool ahead() const { return false; }
    /// Asked when it leaves: it had what it asked for, which was a part of the whole, so that the
    /// rest is likely to be asked for.
    virtual bool may_come_back() const { return false; }
    /// Whether it reads for a fellow worker: a fetch that such a one begins asks no other fellow.
    virtual bool for_fellow() const { return false; }
};

/// Who fetches ahead of requests, and gives way to them. Called from within the fetcher's calls.
class GivesWay {
 public:
    virtual ~GivesWay() = default;
    /// A request waits for memory. False where there is nothing left to give up.
    virtual bool give_way() = 0;
    /// A request's own fetch began.
    virtual void request_began() = 0;
};

//              a reader came
//                   |
//     a fellow owns it? --yes--> kFetching --all bytes--> kVerifying
//                   | no            | it has none, is silent, …
//                kQueued <----------+
//                   |  |
//                   |  +--(10 s without room)-----------> kFailed
//                   | room in the budget
//   one more  +--> kFetching --(store's error)----------> kFailed
//   try for   |     | all bytes
//   those     +--- kVerifying --(mismatch)--------------> kFailed
//   without         | SHA-256 matches
//   bytes        kVerified   (the buffer stays for its readers)
//                   | the cache has it
//                 kKept      (no buffer any more: read it there)
enum class FetchState { kQueued, kFetching, kVerifying, kVerified, kKept, kFailed };

/// One blob on its way from the object store, however many read it.
struct Fetch {
    Fetch(const store::ObjectKey& its_key, std::shared_ptr<BlobKind> its_kind)
        : key(its_key), kind(std::move(its_kind)) {}

    const store::ObjectKey key;
    const std::shared_ptr<BlobKind> kind;
    FetchState state = FetchState::kQueued;
    std::optional<Error> error;  // kFailed only

    /// The first `available` bytes of `buffer` are there; the rest is still written elsewhere.
    SharedBuffer buffer;
    std::size_t available = 0;
    std::uint32_t total = 0;  // 0: not known yet

    /// Counts buffers: a retry begins a new one. Readers who were given bytes of a generation up to
    /// `corrupt_generation` have been given wrong ones, or ones that nothing proves right.
    unsigned generation = 0;
    unsigned corrupt_generation = 0;
    std::size_t given = 0;  // of this generation, to any reader

 private:
    friend class Fetcher;
    struct Earlier {
        SharedBuffer buffer;
        std::size_t given;
        unsigned generation;
    };
    std::vector<Earlier> earlier;  // given out before the store began anew; compared in the end
    std::set<FetchReader*> readers;
    store::TransferHandle transfer;
    TimePoint queued_until{};
    bool expected = false;  // its buffer is not there yet, but counted in expected_bytes_
    unsigned mismatches = 0;
    bool offered = false;  // to the cache
    bool unkept = false;   // verified, and the cache would not take it
    bool lingers = false;  // is in lingering_
    TimePoint lingers_until{};
    bool from_fellow = false;  // what is under way, or came
};
using FetchPtr = std::shared_ptr<Fetch>;

/// All fetches: one for a name, however many ask. Loop thread only.
class Fetcher {
 public:
    /// All references outlive the fetcher; `budget` outlives every buffer too.
    Fetcher(EventLoop& loop, JobPool& jobs, const Clock& clock, store::ObjectStore& store,
            ByteBudget& budget, KnownStored& stored, KnownStored& at_fellows, KnownMissing& missing,
            const HiddenNames& hidden, Tally& tally, const ChunkServiceOptions& options);
    ~Fetcher();

    /// Joins the fetch of `key`, or begins it. kNotFound: it was not there a moment ago, or is
    /// hidden; kLimit: too many fetches or readers. REQUIRES: a matching leave() before `reader`
    /// goes.
    Result<FetchPtr> join(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                          FetchReader& reader);
    /// A fetch that nobody reads any more is finished where over half of it is there, else
    /// cancelled. One of which only a part was read goes on, and stays for some seconds where the
    /// cache does not take it, bounded by ChunkServiceOptions::linger_bytes.
    void leave(const FetchPtr& fetch, FetchReader& reader);

    /// Bytes that came another way (an upload) and are verified: kept, and until then read as if
    /// they had been fetched.
    void adopt(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
               SharedBuffer bytes);

    /// Ends every fetch of a name that is hidden now; its readers are told.
    void end_hidden();
    const HiddenNames& hidden() const { return hidden_; }

    /// Asked for chunks before the object store; null: nobody is. It outlives the fetches that it
    /// is asked for, or ends them before it goes.
    void set_fellows(cluster::ChunkSource* fellows) { fellows_ = fellows; }

    std::size_t count() const { return fetches_.size(); }

    bool is_fetching(const store::ObjectKey& key) const { return fetches_.contains(key); }
    /// Whether a fetch that can wait may begin: nothing that cannot waits, and a quarter of the
    /// memory stays free.
    bool has_spare_room(const BlobKind& kind) const;
    /// Null: nobody. It outlives the fetcher or is taken back.
    void set_gives_way(GivesWay* ahead) { ahead_ = ahead; }

 private:
    struct Verdict {
        bool matches = false;
        std::string detail;
        unsigned corrupt_generation = 0;  // of earlier buffers that differ from the good one
    };

    void pump();
    void make_room();
    void offer(const FetchPtr& fetch);
    void end_unread(const FetchPtr& fetch, bool was_ahead);
    void linger(const FetchPtr& fetch);
    bool stop_lingering(const FetchPtr& fetch);
    bool drop_lingering();
    void drop_overdue();
    bool has_room_for(const BlobKind& kind) const;
    void enqueue(const FetchPtr& fetch);
    bool start_at_fellow(const FetchPtr& fetch);
    void start(const FetchPtr& fetch);
    void on_fellow_done(const FetchPtr& fetch, Result<SharedBuffer> result);
    void on_progress(const FetchPtr& fetch, const SharedBuffer& buffer, std::size_t available,
                     std::uint64_t object_size);
    void take_buffer(Fetch& fetch, const SharedBuffer& buffer, std::uint32_t total);
    void on_fetched(const FetchPtr& fetch, Result<SharedBuffer> result);
    void on_fetch_error(const FetchPtr& fetch, const Error& error);
    void verify(const FetchPtr& fetch);
    void on_verdict(const FetchPtr& fetch, const Verdict& verdict);
    void on_mismatch(const FetchPtr& fetch, const std::string& detail);
    void on_verified(const FetchPtr& fetch);
    void on_kept(const FetchPtr& fetch, const Status& status);
    void requeue(const FetchPtr& fetch);
    void fail(const FetchPtr& fetch, Error error);
    void end_with(const FetchPtr& fetch, Error error);
    void forget(const Fetch& fetch);
    void set_expected(Fetch& fetch, bool expected);
    void end_active(Fetch& fetch);
    void notify(const Fetch& fetch);

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    const Clock& clock_;
    store::ObjectStore& store_;
    ByteBudget& budget_;
    KnownStored& stored_;
    KnownStored& at_fellows_;
    KnownMissing& missing_;
    const HiddenNames& hidden_;
    Tally& tally_;
    const ChunkServiceOptions& options_;
    GivesWay* ahead_ = nullptr;
    cluster::ChunkSource* fellows_ = nullptr;

    // owned
    Timer retry_timer_;
    Timer linger_timer_;

    // state
    std::map<store::ObjectKey, FetchPtr> fetches_;
    std::deque<FetchPtr> queue_;
    std::deque<FetchPtr> lingering_;  // the one that was left first is the first
    std::size_t expected_bytes_ = 0;  // of those that fetch and have no buffer yet, at the most
    std::size_t readers_ = 0;
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

/// What a requester is told of the store's refusals: its credentials are no fault of the requester.
Error as_seen_by_requester(Error store_error);

/// Lets go of a transfer from within its own callback: it is destroyed by a later turn of the loop.
void dispose(EventLoop& loop, store::TransferHandle transfer);

}  // namespace kollator::chunk
