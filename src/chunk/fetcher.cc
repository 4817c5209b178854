#include "chunk/fetcher.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("chunk");

/// Fetches that wait for the budget look again this often: a session's last slice of a buffer goes
/// without telling anyone.
constexpr std::chrono::milliseconds kRetryInterval{50};
/// Bytes that did not match are asked for once more, where nobody has been given any.
constexpr unsigned kMaxMismatches = 2;

}  // namespace

Error as_seen_by_requester(Error store_error) {
    if (store_error.code == ErrorCode::kInvalid || store_error.code == ErrorCode::kInternal) {
        store_error.code = ErrorCode::kUnavailable;
    }
    return store_error;
}

void dispose(EventLoop& loop, store::TransferHandle transfer) {
    if (!transfer) return;
    loop.post([kept = std::shared_ptr<store::Transfer>(std::move(transfer))] { (void)kept; });
}

Fetcher::Fetcher(EventLoop& loop, JobPool& jobs, const Clock& clock, store::ObjectStore& store,
                 ByteBudget& budget, KnownStored& stored, KnownStored& at_fellows,
                 KnownMissing& missing, const HiddenNames& hidden, Tally& tally,
                 const ChunkServiceOptions& options)
    : loop_(loop),
      jobs_(jobs),
      clock_(clock),
      store_(store),
      budget_(budget),
      stored_(stored),
      at_fellows_(at_fellows),
      missing_(missing),
      hidden_(hidden),
      tally_(tally),
      options_(options),
      retry_timer_(loop),
      linger_timer_(loop) {}

Fetcher::~Fetcher() {
    for (auto& [key, fetch] : fetches_) fetch->transfer.reset();
}

// --- readers -----------------------------------------------------------------------------------

Result<FetchPtr> Fetcher::join(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                               FetchReader& reader) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    if (auto refusal = hidden_.refusal_of(key)) return *std::move(refusal);
    if (readers_ >= options_.max_fetch_readers) {
        return make_error(ErrorCode::kLimit, "too many readers wait for the object store");
    }
    const auto found = fetches_.find(key);
    if (found != fetches_.end()) {
        const FetchPtr fetch = found->second;
        tally_.shared_fetches.add();
        fetch->readers.insert(&reader);
        ++readers_;
        if (fetch->state == FetchState::kVerified && !reader.ahead()) offer(fetch);
        return fetch;
    }
    if (missing_.contains(key, clock_.now())) {
        return make_error(ErrorCode::kNotFound, key.path() + " was not there a moment ago");
    }
    if (fetches_.size() >= options_.max_fetches) {
        return make_error(ErrorCode::kLimit, "too many fetches wait for the object store");
    }
    const auto fetch = std::make_shared<Fetch>(key, kind);
    fetch->readers.insert(&reader);
    ++readers_;
    fetches_.emplace(key, fetch);
    if (reader.for_fellow() || !start_at_fellow(fetch)) enqueue(fetch);
    if (ahead_ != nullptr && !reader.ahead()) ahead_->request_began();
    return fetch;
}

void Fetcher::leave(const FetchPtr& fetch, FetchReader& reader) {
    KOLLATOR_CHECK(fetch->readers.erase(&reader) == 1);
    --readers_;
    if (!fetch->readers.empty()) return;
    if (reader.may_come_back()) linger(fetch);
    if (!fetch->lingers) end_unread(fetch, reader.ahead());
}

void Fetcher::end_unread(const FetchPtr& fetch, bool was_ahead) {
    const bool begun_only = was_ahead || fetch->available <= fetch->total / 2;
    if (fetch->state == FetchState::kQueued) {
        std::erase(queue_, fetch);
        forget(*fetch);
    } else if (fetch->state == FetchState::kFetching && begun_only) {
        fetch->transfer.reset();
        end_active(*fetch);
        forget(*fetch);
        tally_.cancelled_fetches.add();
        kLog.debug("event=fetch-cancelled key={}", fetch->key.path());
        pump();
    } else if (fetch->unkept || (fetch->state == FetchState::kVerified && !fetch->offered)) {
        fetch->buffer.reset();
        forget(*fetch);
    }
}

// --- fetches that are likely to be read again soon ---------------------------------------------

void Fetcher::linger(const FetchPtr& fetch) {
    const bool goes_on = fetch->state == FetchState::kFetching ||
                         fetch->state == FetchState::kVerifying ||
                         fetch->state == FetchState::kVerified;
    if (!goes_on) return;
    (void)stop_lingering(fetch);
    fetch->lingers = true;
    fetch->lingers_until =
        clock_.now() + std::chrono::duration_cast<TimePoint::duration>(options_.linger_time);
    lingering_.push_back(fetch);
    std::size_t bytes = 0;
    for (const FetchPtr& one : lingering_)
        bytes += one->total > 0 ? one->total : one->kind->max_bytes();
    while (bytes > options_.linger_bytes && !lingering_.empty()) {
        const FetchPtr oldest = lingering_.front();
        bytes -= oldest->total > 0 ? oldest->total : oldest->kind->max_bytes();
        (void)drop_lingering();
    }
    if (!lingering_.empty() && !linger_timer_.active()) {
        linger_timer_.start_after(options_.linger_time, [this] { drop_overdue(); });
    }
}

bool Fetcher::stop_lingering(const FetchPtr& fetch) {
    if (!fetch->lingers) return false;
    fetch->lingers = false;
    std::erase(lingering_, fetch);
    return true;
}

/// The one that was left first. False where there is none.
bool Fetcher::drop_lingering() {
    if (lingering_.empty()) return false;
    const FetchPtr fetch = lingering_.front();
    (void)stop_lingering(fetch);
    if (fetch->readers.empty()) end_unread(fetch, false);
    return true;
}

void Fetcher::drop_overdue() {
    while (!lingering_.empty() && lingering_.front()->lingers_until <= clock_.now()) {
        (void)drop_lingering();
    }
    if (lingering_.empty()) return;
    linger_timer_.start_after(options_.linger_time, [this] { drop_overdue(); });
}

void Fetcher::notify(const Fetch& fetch) {
    for (FetchReader* reader : fetch.readers) reader->fetch_changed();
}

// --- the queue for the budget ------------------------------------------------------------------

bool Fetcher::has_room_for(const BlobKind& kind) const {
    const std::size_t used = budget_.used_bytes() + expected_bytes_;
    return used == 0 || used + kind.max_bytes() <= budget_.limit_bytes();
}

bool Fetcher::has_spare_room(const BlobKind& kind) const {
    const std::size_t used = budget_.used_bytes() + expected_bytes_;
    return queue_.empty() && used + kind.max_bytes() <= budget_.limit_bytes() / 4 * 3;
}

/// What nobody waits for goes first.
void Fetcher::make_room() {
    while (!queue_.empty() && !has_room_for(*queue_.front()->kind)) {
        if (drop_lingering()) continue;
        if (ahead_ == nullptr || !ahead_->give_way()) return;
    }
}

void Fetcher::pump() {
    make_room();
    while (!queue_.empty() && has_room_for(*queue_.front()->kind)) {
        const FetchPtr fetch = queue_.front();
        queue_.pop_front();
        start(fetch);
    }
    while (!queue_.empty() && queue_.front()->queued_until <= clock_.now()) {
        const FetchPtr fetch = queue_.front();
        queue_.pop_front();
        fail(fetch, make_error(ErrorCode::kLimit, "no memory for a fetch became free in time"));
    }
    if (!queue_.empty() && !retry_timer_.active()) {
        retry_timer_.start_after(kRetryInterval, [this] { pump(); });
    }
}

void Fetcher::enqueue(const FetchPtr& fetch) {
    fetch->state = FetchState::kQueued;
    fetch->queued_until = clock_.now() + std::chrono::duration_cast<TimePoint::duration>(
                                             options_.fetch_queue_timeout);
    queue_.push_back(fetch);
    pump();
}

void Fetcher::requeue(const FetchPtr& fetch) {
    end_active(*fetch);
    fetch->state = FetchState::kQueued;
    queue_.push_front(fetch);
    // By the timer, not at once: what fills the budget has to go first.
    if (!retry_timer_.active()) {
        retry_timer_.start_after(kRetryInterval, [this] { pump(); });
    }
}

void Fetcher::set_expected(Fetch& fetch, bool expected) {
    if (fetch.expected == expected) return;
    fetch.expected = expected;
    if (expected) {
        expected_bytes_ += fetch.kind->max_bytes();
    } else {
        expected_bytes_ -= fetch.kind->max_bytes();
    }
}

void Fetcher::end_active(Fetch& fetch) {
    set_expected(fetch, false);
    dispose(loop_, std::move(fetch.transfer));
}

// --- the transfer ------------------------------------------------------------------------------

void Fetcher::start(const FetchPtr& fetch) {
    fetch->state = FetchState::kFetching;
    fetch->from_fellow = false;
    set_expected(*fetch, true);
    tally_.fetches.add();
    store::GetOptions options;
    options.max_bytes = fetch->kind->max_bytes();
    options.budget = &budget_;
    options.again = fetch->mismatches > 0;
    // Weak: the transfer belongs to the fetch, and its callbacks to the transfer.
    const std::weak_ptr weak(fetch);
    fetch->transfer = store_.get(
        fetch->key, options,
        [this, weak](const SharedBuffer& buffer, std::size_t available, std::uint64_t size) {
            if (const auto locked = weak.lock()) on_progress(locked, buffer, available, size);
        },
        [this, weak](Result<SharedBuffer> result) {
            if (const auto locked = weak.lock()) on_fetched(locked, std::move(result));
        });
}

void Fetcher::on_progress(const FetchPtr& fetch, const SharedBuffer& buffer, std::size_t available,
                          std::uint64_t object_size) {
    if (buffer != fetch->buffer)
        take_buffer(*fetch, buffer, static_cast<std::uint32_t>(object_size));
    fetch->available = available;
    notify(*fetch);
}

/// The first sight of a buffer: of the first one, or of a retry's.
void Fetcher::take_buffer(Fetch& fetch, const SharedBuffer& buffer, std::uint32_t total) {
    set_expected(fetch, false);
    if (fetch.given > 0) {
        if (fetch.total == total) {
            fetch.earlier.push_back({fetch.buffer, fetch.given, fetch.generation});
        } else {
            fetch.corrupt_generation = fetch.generation;
        }
    }
    ++fetch.generation;
    fetch.buffer = buffer;
    fetch.available = 0;
    fetch.given = 0;
    fetch.total = total;
}

void Fetcher::on_fetched(const FetchPtr& fetch, Result<SharedBuffer> result) {
    dispose(loop_, std::move(fetch->transfer));
    if (!result) return on_fetch_error(fetch, result.error());
    const SharedBuffer& buffer = *result;
    const auto size = static_cast<std::uint32_t>(buffer->size());
    if (buffer != fetch->buffer) take_buffer(*fetch, buffer, size);
    if (size == 0 || size != fetch->total || size > fetch->kind->max_bytes()) {
        return on_mismatch(fetch, "an object of " + std::to_string(size) + " bytes");
    }
    verify(fetch);
}

void Fetcher::on_fetch_error(const FetchPtr& fetch, const Error& error) {
    if (error.code == ErrorCode::kLimit) {
        const std::size_t max_bytes = fetch->kind->max_bytes();
        // The budget's limit, or the object's size? The first passes, the second does not.
        if (budget_.used_bytes() + max_bytes > budget_.limit_bytes()) return requeue(fetch);
        return fail(fetch, make_error(ErrorCode::kInvalid, "refused: " + error.detail));
    }
    fail(fetch, as_seen_by_requester(error));
}

// --- the verdict -------------------------------------------------------------------------------

void Fetcher::verify(const FetchPtr& fetch) {
    fetch->state = FetchState::kVerifying;
    fetch->available = fetch->total;
    notify(*fetch);
    jobs_.run(
        loop_,
        [kind = fetch->kind, key = fetch->key, buffer = fetch->buffer, earlier = fetch->earlier] {
            Verdict verdict;
            const auto digest = kind->verify(key, buffer->span());
            verdict.matches = digest.ok();
            if (!digest) verdict.detail = digest.error().detail;
            for (const auto& old : earlier) {
                const ByteSpan given = old.buffer->span().first(old.given);
                if (!std::equal(given.begin(), given.end(), buffer->data())) {
                    verdict.corrupt_generation = old.generation;
                }
            }
            return verdict;
        },
        [this, alive = std::weak_ptr(alive_), fetch](const Verdict& verdict) {
            if (!alive.expired()) on_verdict(fetch, verdict);
        });
}

void Fetcher::on_verdict(const FetchPtr& fetch, const Verdict& verdict) {
    if (fetch->state != FetchState::kVerifying) return;  // hidden meanwhile
    if (!verdict.matches) return on_mismatch(fetch, verdict.detail);
    fetch->corrupt_generation = std::max(fetch->corrupt_generation, verdict.corrupt_generation);
    tally_.fetched_bytes.add(fetch->total);
    on_verified(fetch);
}

void Fetcher::on_mismatch(const FetchPtr& fetch, const std::string& detail) {
    const bool from_fellow = fetch->from_fellow;
    if (from_fellow) {
        if (fellows_ != nullptr) fellows_->was_corrupt(ChunkId(fetch->key.hash));
    } else {
        tally_.verify_failures.add();
        kLog.error("event=object-corrupt key={} detail=\"{}\"", fetch->key.path(), detail);
    }
    // All that was given out of any buffer so far is proved by nothing.
    fetch->corrupt_generation = fetch->generation;
    fetch->earlier.clear();
    fetch->buffer.reset();
    fetch->available = 0;
    fetch->given = 0;
    fetch->total = 0;
    const bool wanted = std::any_of(fetch->readers.begin(), fetch->readers.end(),
                                    [](const FetchReader* one) { return !one->has_bytes(); });
    const bool enough = !from_fellow && ++fetch->mismatches >= kMaxMismatches;
    if (!wanted || enough) {
        return fail(fetch,
                    make_error(ErrorCode::kCorrupt,
                               std::string(from_fellow ? "a fellow's " : "the object store's ") +
                                   fetch->key.path() + " does not match its name"));
    }
    end_active(*fetch);
    start(fetch);
    notify(*fetch);
}

void Fetcher::on_verified(const FetchPtr& fetch) {
    end_active(*fetch);
    fetch->earlier.clear();
    fetch->state = FetchState::kVerified;
    // What a fellow has may still wait in its journal.
    if (fetch->from_fellow) {
        at_fellows_.note(fetch->key, fetch->total);
    } else if (!store_.pending_size(fetch->key)) {
        stored_.note(fetch->key, fetch->total);
    }
    missing_.forget(fetch->key);
    const bool only_ahead =
        !fetch->readers.empty() && std::all_of(fetch->readers.begin(), fetch->readers.end(),
                                               [](const FetchReader* one) { return one->ahead(); });
    if (!only_ahead) offer(fetch);
    notify(*fetch);
    pump();
}

/// To the cache, once.
void Fetcher::offer(const FetchPtr& fetch) {
    if (fetch->offered) return;
    fetch->offered = true;
    fetch->kind->keep(fetch->key, fetch->buffer,
                      [this, alive = std::weak_ptr(alive_), fetch](const Status& status) {
                          if (!alive.expired()) on_kept(fetch, status);
                      });
}

void Fetcher::on_kept(const FetchPtr& fetch, const Status& status) {
    if (fetch->state == FetchState::kFailed) {  // hidden meanwhile
        if (hidden_.contains(fetch->key)) fetch->kind->drop(fetch->key);
    } else if (status) {
        fetch->state = FetchState::kKept;
        fetch->buffer.reset();
        forget(*fetch);
        notify(*fetch);
    } else if (fetch->readers.empty() && !fetch->lingers) {
        forget(*fetch);
    } else {
        fetch->unkept = true;  // its readers, and those who join them, have the buffer
    }
    pump();
}

void Fetcher::fail(const FetchPtr& fetch, Error error) {
    end_active(*fetch);
    if (error.code == ErrorCode::kNotFound) {
        stored_.forget(fetch->key);
        missing_.note(fetch->key, clock_.now());
    }
    end_with(fetch, std::move(error));
    if (!queue_.empty() && !retry_timer_.active()) {
        retry_timer_.start_after(Duration::zero(), [this] { pump(); });
    }
}

void Fetcher::end_with(const FetchPtr& fetch, Error error) {
    kLog.debug("event=fetch-failed key={} code={} detail=\"{}\"", fetch->key.path(),
               to_string(error.code), error.detail);
    fetch->state = FetchState::kFailed;
    fetch->error = std::move(error);
    fetch->buffer.reset();
    fetch->earlier.clear();
    forget(*fetch);
    notify(*fetch);
}

void Fetcher::end_hidden() {
    std::vector<FetchPtr> hidden;
    for (const auto& [key, fetch] : fetches_) {
        if (hidden_.contains(key)) hidden.push_back(fetch);
    }
    for (const FetchPtr& fetch : hidden) {
        std::erase(queue_, fetch);
        fetch->transfer.reset();
        set_expected(*fetch, false);
        end_with(fetch, *hidden_.refusal_of(fetch->key));
    }
    if (!hidden.empty()) pump();
}

void Fetcher::forget(const Fetch& fetch) {
    if (fetch.lingers)
        std::erase_if(lingering_, [&](const FetchPtr& one) { return &*one == &fetch; });
    const auto found = fetches_.find(fetch.key);
    if (found != fetches_.end() && found->second.get() == &fetch) fetches_.erase(found);
}

void Fetcher::adopt(const store::ObjectKey& key, const std::shared_ptr<BlobKind>& kind,
                    SharedBuffer bytes) {
    if (hidden_.contains(key)) return;
    kind->expect(key);
    FetchPtr fetch;
    if (const auto found = fetches_.find(key); found != fetches_.end()) {
        fetch = found->second;
        const bool waits = fetch->state == FetchState::kQueued ||
                           (fetch->state == FetchState::kFetching && fetch->generation == 0);
        if (!waits) return;  // it has its own bytes, and will keep them
        std::erase(queue_, fetch);
        fetch->transfer.reset();
    } else {
        fetch = std::make_shared<Fetch>(key, kind);
        fetches_.emplace(key, fetch);
    }
    fetch->from_fellow = false;
    take_buffer(*fetch, bytes, static_cast<std::uint32_t>(bytes->size()));
    fetch->available = fetch->total;
    on_verified(fetch);
}

}  // namespace kollator::chunk
