#include "store/filesystem_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "store/object_files.h"

namespace kollator::store {
namespace {

const log::Logger kLog("store");

/// Jobs in the pool at once: enough to keep a disk's queue busy, few enough that the pool's other
/// work (hashing, the cache) is not behind a long line of ours.
constexpr std::size_t kMaxJobsInFlight = 8;

/// Requests that wait for a job, and the bodies they hold. Over either bound: kLimit.
constexpr std::size_t kMaxQueuedRequests = 4096;
constexpr std::size_t kMaxQueuedBytes = 256 << 20;

/// One request, shared by its handle, its job and the queue.
struct Flight {
    std::atomic<bool> cancelled{false};
    std::atomic<std::size_t> available_bytes{0};
    std::atomic<bool> progress_posted{false};

    // The loop's thread only from here on.
    ObjectStore::OnProgress on_progress;
    std::size_t body_bytes = 0;
    std::function<void()> job;
};

class Core : public std::enable_shared_from_this<Core> {
 public:
    Core(EventLoop& loop, JobPool& jobs, FileSystem& fs, Random& random,
         FilesystemStoreOptions options)
        : loop_(loop),
          jobs_(jobs),
          random_(random),
          files_(std::make_shared<ObjectFiles>(fs, std::move(options.root))) {}
    ~Core() {
        // A queued job holds its flight, which holds the job.
        for (const auto& flight : queue_) flight->job = nullptr;
    }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// The first job. Requests wait for it, so that a folder which is merely new is not taken for
    /// one that has vanished.
    void open() {
        run_job([weak = weak_from_this(), loop = &loop_, files = files_, nonce = this->nonce()] {
            auto status = files->prepare();
            auto cleaned = status ? files->clean(nonce) : Result<std::size_t>(status.error());
            loop->post([weak, cleaned] {
                if (const auto core = weak.lock()) core->opened(cleaned);
            });
        });
    }

    /// `work` runs in a job; `on_done` on the loop with what it gave.
    template <typename T, typename Work>
    TransferHandle start(std::shared_ptr<Flight> flight, Work work,
                         std::function<void(Result<T>)> on_done);

    void drop(const std::shared_ptr<Flight>& flight);
    std::string nonce();

    EventLoop& loop() { return loop_; }
    const std::shared_ptr<ObjectFiles>& files() const { return files_; }
    StoreStats& stats() { return stats_; }

 private:
    void opened(const Result<std::size_t>& cleaned);
    void pump();
    void run_job(std::function<void()> job) {
        ++in_flight_;
        jobs_.submit(std::move(job));
    }
    void job_done() {
        --in_flight_;
        pump();
    }
    bool has_room(const Flight& flight) const {
        return queue_.size() < kMaxQueuedRequests &&
               queued_bytes_ + flight.body_bytes <= kMaxQueuedBytes;
    }
    template <typename T>
    void finish(const std::shared_ptr<Flight>& flight, Result<T> result,
                const std::shared_ptr<std::function<void(Result<T>)>>& on_done);

    // Injected.
    EventLoop& loop_;
    JobPool& jobs_;
    Random& random_;

    // Owned.
    const std::shared_ptr<ObjectFiles> files_;
    std::deque<std::shared_ptr<Flight>> queue_;

    // State.
    bool opened_ = false;
    std::size_t in_flight_ = 0;
    std::size_t queued_bytes_ = 0;
    StoreStats stats_;
};

/// The callback is kept behind a pointer that the handle clears, so that whatever the callback
/// holds is let go on the loop's thread, never by a job.
template <typename T>
class FlightHandle final : public Transfer {
 public:
    FlightHandle(std::weak_ptr<Core> core, std::shared_ptr<Flight> flight,
                 std::shared_ptr<std::function<void(Result<T>)>> on_done)
        : core_(std::move(core)), flight_(std::move(flight)), on_done_(std::move(on_done)) {}
    ~FlightHandle() override {
        flight_->cancelled = true;
        flight_->on_progress = nullptr;
        *on_done_ = nullptr;
        if (const auto core = core_.lock()) core->drop(flight_);
    }

 private:
    const std::weak_ptr<Core> core_;
    const std::shared_ptr<Flight> flight_;
    const std::shared_ptr<std::function<void(Result<T>)>> on_done_;
};

template <typename T, typename Work>
TransferHandle Core::start(std::shared_ptr<Flight> flight, Work work,
                           std::function<void(Result<T>)> on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    auto callback = std::make_shared<std::function<void(Result<T>)>>(std::move(on_done));
    auto handle = std::make_unique<FlightHandle<T>>(weak_from_this(), flight, callback);
    if (!has_room(*flight)) {
        loop_.post([weak = weak_from_this(), flight, callback] {
            if (const auto core = weak.lock()) {
                core->finish(flight,
                             Result<T>(make_error(ErrorCode::kLimit,
                                                  "too many requests "
                                                  "wait for the disk")),
                             callback);
            }
        });
        return handle;
    }
    flight->job = [weak = weak_from_this(), loop = &loop_, flight, callback,
                   work = std::move(work)]() mutable {
        auto result = std::make_shared<Result<T>>(
            flight->cancelled ? Result<T>(make_error(ErrorCode::kCancelled, "")) : work());
        loop->post([weak, flight, callback, result] {
            const auto core = weak.lock();
            if (!core) return;
            core->job_done();
            core->finish(flight, std::move(*result), callback);
        });
    };
    queued_bytes_ += flight->body_bytes;
    queue_.push_back(std::move(flight));
    pump();
    return handle;
}

template <typename T>
void Core::finish(const std::shared_ptr<Flight>& flight, Result<T> result,
                  const std::shared_ptr<std::function<void(Result<T>)>>& on_done) {
    if (flight->cancelled) return;
    if (!result && result.error().code != ErrorCode::kNotFound) ++stats_.errors;
    flight->on_progress = nullptr;
    // Moved out first: the callback may destroy the handle, or the store.
    const auto callback = std::exchange(*on_done, nullptr);
    if (callback) callback(std::move(result));
}

void Core::opened(const Result<std::size_t>& cleaned) {
    if (!cleaned) {
        kLog.warn("store={} error={} detail=\"{}\"", files_->root().string(),
                  to_string(cleaned.error().code), cleaned.error().detail);
    } else if (*cleaned > 0) {
        kLog.info("store={} unfinished_files_removed={}", files_->root().string(), *cleaned);
    }
    opened_ = true;
    job_done();
}

void Core::pump() {
    while (opened_ && !queue_.empty() && in_flight_ < kMaxJobsInFlight) {
        const auto flight = std::move(queue_.front());
        queue_.pop_front();
        queued_bytes_ -= flight->body_bytes;
        ++stats_.requests;
        run_job(std::exchange(flight->job, nullptr));
    }
}

void Core::drop(const std::shared_ptr<Flight>& flight) {
    const auto found = std::find(queue_.begin(), queue_.end(), flight);
    if (found == queue_.end()) return;
    queued_bytes_ -= flight->body_bytes;
    flight->job = nullptr;  // which holds the flight
    queue_.erase(found);
}

std::string Core::nonce() {
    std::array<std::uint8_t, 16> raw{};
    random_.fill(raw);
    return to_hex(raw);
}

class FilesystemStore final : public ObjectStore {
 public:
    explicit FilesystemStore(std::shared_ptr<Core> core) : core_(std::move(core)) {}

    TransferHandle get(const ObjectKey& key, const GetOptions& options, OnProgress on_progress,
                       OnGet on_done) override {
        auto flight = std::make_shared<Flight>();
        flight->on_progress = std::move(on_progress);
        const bool wants_progress = static_cast<bool>(flight->on_progress);
        auto on_piece = [core = std::weak_ptr(core_), flight, wants_progress,
                         loop = &core_->loop()](const SharedBuffer& buffer,
                                                std::size_t available_bytes,
                                                std::uint64_t object_size) {
            flight->available_bytes = available_bytes;
            if (wants_progress && !flight->progress_posted.exchange(true)) {
                loop->post([core, flight, buffer, object_size] {
                    report(core, flight, buffer, object_size);
                });
            }
            return !flight->cancelled;
        };
        return core_->start<SharedBuffer>(
            flight,
            [files = core_->files(), key, options, on_piece] {
                return files->get(key, options, on_piece);
            },
            [core = std::weak_ptr(core_),
             on_done = std::move(on_done)](Result<SharedBuffer> result) {
                if (const auto live = core.lock(); live && result) {
                    live->stats().downloaded_bytes += (*result)->size();
                }
                on_done(std::move(result));
            });
    }

    TransferHandle put(const ObjectKey& key, SharedBuffer body,
                       const std::array<std::uint8_t, 32>& payload_sha256, OnPut on_done) override {
        (void)payload_sha256;  // the caller has verified the bytes, and no network lies between
        auto flight = std::make_shared<Flight>();
        flight->body_bytes = body->size();
        return core_->start<PutOutcome>(
            flight,
            [files = core_->files(), key, body, nonce = core_->nonce()] {
                return files->put(key, body->span(), nonce);
            },
            [core = std::weak_ptr(core_), key, size_bytes = body->size(),
             on_done = std::move(on_done)](Result<PutOutcome> result) {
                if (const auto live = core.lock();
                    live && result && *result == PutOutcome::kStored) {
                    live->stats().uploaded_chunks += key.kind == ObjectKind::kChunk ? 1 : 0;
                    live->stats().uploaded_bytes += size_bytes;
                }
                on_done(std::move(result));
            });
    }

    TransferHandle stat(const ObjectKey& key, OnStat on_done) override {
        return core_->start<std::uint64_t>(
            std::make_shared<Flight>(), [files = core_->files(), key] { return files->stat(key); },
            std::move(on_done));
    }

    TransferHandle list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                        std::size_t limit, OnList on_done) override {
        const std::size_t bounded = std::clamp<std::size_t>(limit, 1, kMaxListEntries);
        return core_->start<ListPage>(
            std::make_shared<Flight>(),
            [files = core_->files(), kind, after, bounded] {
                return files->list(kind, after, bounded);
            },
            std::move(on_done));
    }

    TransferHandle remove(const ObjectKey& key, OnDone on_done) override {
        return core_->start<void>(
            std::make_shared<Flight>(),
            [files = core_->files(), key] { return files->remove(key); }, std::move(on_done));
    }

    TransferHandle probe(OnDone on_done) override {
        return core_->start<void>(
            std::make_shared<Flight>(),
            [files = core_->files(), nonce = core_->nonce()] { return files->probe(nonce); },
            std::move(on_done));
    }

    StoreStats stats() const override { return core_->stats(); }
    std::string describe() const override {
        return "filesystem " + core_->files()->root().string();
    }

 private:
    /// One report at a time is on its way to the loop: it tells what is there when it runs.
    static void report(const std::weak_ptr<Core>& core, const std::shared_ptr<Flight>& flight,
                       const SharedBuffer& buffer, std::uint64_t object_size) {
        flight->progress_posted = false;
        if (core.expired() || flight->cancelled || !flight->on_progress) return;
        const auto on_progress = flight->on_progress;  // it may destroy its own handle
        on_progress(buffer, flight->available_bytes, object_size);
    }

    const std::shared_ptr<Core> core_;
};

}  // namespace

std::unique_ptr<ObjectStore> make_filesystem_store(EventLoop& loop, JobPool& jobs, FileSystem& fs,
                                                   Random& random, FilesystemStoreOptions options) {
    auto core = std::make_shared<Core>(loop, jobs, fs, random, std::move(options));
    core->open();
    return std::make_unique<FilesystemStore>(std::move(core));
}

}  // namespace kollator::store
