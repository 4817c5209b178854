#include "store/journal/journaled_store.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace kollator::store {
namespace {

const log::Logger kLog("store");

/// Threads of the job pool that may wait in an fsync at once: one stays free for other work.
constexpr std::size_t kMaxWritesAtOnce = 3;

}  // namespace

/// The callback stands behind a pointer that the handle clears: the work goes on without it.
template <typename T>
class JournaledStore::Waiting final : public Transfer {
 public:
    explicit Waiting(std::shared_ptr<T> callback) : callback_(std::move(callback)) {}
    ~Waiting() override { *callback_ = nullptr; }

 private:
    const std::shared_ptr<T> callback_;
};

/// A get() of a pending object: from the journal, or from the store below when it has moved there
/// meanwhile.
struct JournaledStore::Reading {
    ObjectKey key{ChunkId()};
    GetOptions options;
    OnProgress on_progress;
    OnGet on_done;
    TransferHandle below;
};

class JournaledStore::ReadingHandle final : public Transfer {
 public:
    ReadingHandle(EventLoop& loop, std::shared_ptr<Reading> reading)
        : loop_(loop), reading_(std::move(reading)) {}
    ~ReadingHandle() override {
        reading_->on_progress = nullptr;
        reading_->on_done = nullptr;
        // It may be this transfer's callback that destroys us.
        loop_.post([reading = std::move(reading_)] { reading->below.reset(); });
    }

 private:
    EventLoop& loop_;
    std::shared_ptr<Reading> reading_;
};

JournaledStore::Metrics::Metrics(MetricsRegistry& registry)
    : objects(registry.gauge("kollator_journal_pending_objects",
                             "Objects on this disk that the object store does not have yet")),
      size_bytes(registry.gauge("kollator_journal_pending_bytes", "The room that they take")),
      oldest_age_seconds(registry.gauge("kollator_journal_oldest_age_seconds",
                                        "Time since the oldest of them was stored")),
      journaled(registry.counter("kollator_journal_journaled_total", "Objects journaled")),
      sent(registry.counter("kollator_journal_sent_total",
                            "Journaled objects that the object store has taken")),
      failures(registry.counter("kollator_journal_send_failures_total",
                                "Sends of journaled objects that failed and are repeated")),
      refused(registry.counter("kollator_journal_refused_total",
                               "Stores that the full backlog refused")),
      damaged(registry.counter("kollator_journal_damaged_total",
                               "Journal files that did not hold what was written")) {}

JournaledStore::JournaledStore(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
                               Random& random, ObjectStore& below, JournalOptions options,
                               MetricsRegistry& metrics)
    : loop_(loop),
      jobs_(jobs),
      clock_(clock),
      below_(below),
      options_(std::move(options)),
      files_(std::make_shared<JournalFiles>(fs, options_.root)),
      backlog_(random, options_.backlog),
      metrics_(metrics),
      pause_timer_(loop),
      drain_timer_(loop) {}

JournaledStore::~JournaledStore() = default;

Result<std::unique_ptr<JournaledStore>> JournaledStore::open(EventLoop& loop, JobPool& jobs,
                                                             FileSystem& fs, const Clock& clock,
                                                             Random& random, ObjectStore& below,
                                                             JournalOptions options,
                                                             MetricsRegistry& metrics) {
    std::unique_ptr<JournaledStore> store(
        new JournaledStore(loop, jobs, fs, clock, random, below, std::move(options), metrics));
    const auto scan = store->files_->open();
    if (!scan) {
        return make_error(scan.error().code, "the journal cannot be used: " + scan.error().detail);
    }
    store->restore(*scan);
    return store;
}

void JournaledStore::restore(const JournalScan& scan) {
    for (const JournalFile& file : scan.files) backlog_.restore(file);
    totals_.damaged += scan.damaged_files;
    metrics_.damaged.add(static_cast<double>(scan.damaged_files));
    if (!scan.files.empty()) {
        kLog.info("event=journal-opened path=\"{}\" pending={} size_bytes={}",
                  files_->root().string(), scan.files.size(), backlog_.used_bytes());
    }
    changed();
    pump();
}

// --- in ----------------------------------------------------------------------------------------

TransferHandle JournaledStore::put(const ObjectKey& key, SharedBuffer body,
                                   const std::array<std::uint8_t, 32>& payload_sha256,
                                   OnPut on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread() && body != nullptr);
    const bool known_here = backlog_.find(key) != nullptr || writes_.contains(key);
    if (!options_.accepts && !known_here && !removals_.contains(key)) {
        return below_.put(key, std::move(body), payload_sha256, std::move(on_done));
    }
    const auto waiter = std::make_shared<OnPut>(std::move(on_done));
    start_put(key, {std::move(body), payload_sha256, waiter});
    return std::make_unique<Waiting<OnPut>>(waiter);
}

void JournaledStore::start_put(const ObjectKey& key, LaterPut put) {
    if (removals_.contains(key)) {
        return answer(put.waiter, make_error(ErrorCode::kLimit, key.path() + " is being removed"));
    }
    if (const auto same = writes_.find(key); same != writes_.end()) {
        if (same->second.digest == put.digest) {
            same->second.waiting.push_back(std::move(put.waiter));
        } else {
            same->second.later.push_back(std::move(put));
        }
        return;
    }
    const PendingObject* pending = backlog_.find(key);
    if (pending != nullptr && pending->file.digest == put.digest) {
        return answer(put.waiter, PutOutcome::kAlreadyThere);
    }
    if (!backlog_.reserve(put.body->size())) {
        ++totals_.refused;
        metrics_.refused.add();
        return answer(put.waiter, make_error(ErrorCode::kLimit, "the write backlog is full"));
    }
    writes_[key] = Write{std::move(put.body), put.digest, {std::move(put.waiter)}, {}};
    write_queue_.push_back(key);
    pump_writes();
}

void JournaledStore::pump_writes() {
    while (writing_ < kMaxWritesAtOnce && !write_queue_.empty()) {
        const ObjectKey key = write_queue_.front();
        write_queue_.pop_front();
        start_write(key);
    }
}

void JournaledStore::start_write(const ObjectKey& key) {
    ++writing_;
    const Write& write = writes_.at(key);
    const JournalFile file{
        {backlog_.next_number(), key}, write.body->size(), write.digest, wall_ns()};
    std::optional<JournalName> replaced;
    if (const PendingObject* older = backlog_.find(key)) replaced = older->file.name;
    jobs_.run(
        loop_,
        [files = files_, file, body = write.body, replaced] {
            return files->write(file.name, body->span(), file.digest, replaced);
        },
        [this, alive = std::weak_ptr(alive_), file](const Status& status) {
            if (!alive.expired()) on_written(file, status);
        });
}

void JournaledStore::on_written(const JournalFile& file, const Status& status) {
    const ObjectKey key = file.name.key;
    Write ended = std::move(writes_.at(key));
    writes_.erase(key);
    --writing_;
    Result<PutOutcome> outcome = PutOutcome::kStored;
    if (status) {
        backlog_.add(file);
        if (removals_.contains(key)) backlog_.hold(key, true);
        ++totals_.journaled;
        metrics_.journaled.add();
        totals_.write_error.clear();
    } else {
        backlog_.release(file.size_bytes);
        // A full disk is one event, not one for each object.
        if (totals_.write_error.empty()) {
            kLog.error("event=journal-write-failed key={} code={} detail=\"{}\"", key.path(),
                       to_string(status.error().code), status.error().detail);
        }
        totals_.write_error = status.error().detail;
        outcome = status.error();
    }
    for (LaterPut& later : ended.later) start_put(key, std::move(later));
    advance_removal(key);
    pump_writes();
    pump();
    changed();
    const std::weak_ptr alive(alive_);
    for (const PutWaiter& waiter : ended.waiting) {
        const OnPut on_done = std::exchange(*waiter, nullptr);
        if (on_done) on_done(outcome);
        if (alive.expired()) return;
    }
}

void JournaledStore::answer(PutWaiter waiter, Result<PutOutcome> outcome) {
    loop_.post(
        [alive = std::weak_ptr(alive_), waiter = std::move(waiter), outcome = std::move(outcome)] {
            if (alive.expired()) return;
            const OnPut on_done = std::exchange(*waiter, nullptr);
            if (on_done) on_done(outcome);
        });
}

// --- reading -----------------------------------------------------------------------------------

TransferHandle JournaledStore::get(const ObjectKey& key, const GetOptions& options,
                                   OnProgress on_progress, OnGet on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    const PendingObject* pending = backlog_.find(key);
    if (pending == nullptr) {
        return below_.get(key, options, std::move(on_progress), std::move(on_done));
    }
    const auto reading = std::make_shared<Reading>(
        Reading{key, options, std::move(on_progress), std::move(on_done), nullptr});
    jobs_.run(
        loop_,
        [files = files_, name = pending->file.name, options] { return files->read(name, options); },
        [this, alive = std::weak_ptr(alive_), reading](Result<SharedBuffer> result) {
            if (alive.expired() || !reading->on_done) return;
            const bool gone = !result && (result.error().code == ErrorCode::kNotFound ||
                                          result.error().code == ErrorCode::kCorrupt);
            if (gone) return read_below(reading);
            const OnGet callback = std::exchange(reading->on_done, nullptr);
            callback(std::move(result));
        });
    return std::make_unique<ReadingHandle>(loop_, reading);
}

/// It has been sent and removed since the reader was told of the file, or the file is damaged.
void JournaledStore::read_below(const std::shared_ptr<Reading>& reading) {
    const std::weak_ptr weak(reading);
    OnProgress on_progress;
    if (reading->on_progress) {
        on_progress = [weak](const SharedBuffer& buffer, std::size_t available,
                             std::uint64_t size) {
            const auto live = weak.lock();
            if (!live || !live->on_progress) return;
            const OnProgress callback = live->on_progress;
            callback(buffer, available, size);
        };
    }
    reading->below = below_.get(reading->key, reading->options, std::move(on_progress),
                                [weak](Result<SharedBuffer> result) {
                                    const auto live = weak.lock();
                                    if (!live || !live->on_done) return;
                                    const OnGet callback = std::exchange(live->on_done, nullptr);
                                    callback(std::move(result));
                                });
}

TransferHandle JournaledStore::stat(const ObjectKey& key, OnStat on_done) {
    const auto pending = pending_size(key);
    if (!pending) return below_.stat(key, std::move(on_done));
    const auto waiter = std::make_shared<OnStat>(std::move(on_done));
    loop_.post([waiter, size_bytes = *pending] {
        const OnStat callback = std::exchange(*waiter, nullptr);
        if (callback) callback(size_bytes);
    });
    return std::make_unique<Waiting<OnStat>>(waiter);
}

TransferHandle JournaledStore::list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                    std::size_t limit, OnList on_done) {
    return below_.list(kind, after, limit, std::move(on_done));
}

std::optional<std::uint64_t> JournaledStore::pending_size(const ObjectKey& key) const {
    const PendingObject* pending = backlog_.find(key);
    if (pending == nullptr) return std::nullopt;
    return pending->file.size_bytes;
}

std::vector<ListEntry> JournaledStore::list_pending(ObjectKind kind,
                                                    const std::array<std::uint8_t, 32>& after,
                                                    std::size_t limit) const {
    return backlog_.list(kind, after, limit);
}

// --- removal -----------------------------------------------------------------------------------

TransferHandle JournaledStore::remove(const ObjectKey& key, OnDone on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    const auto waiter = std::make_shared<OnDone>(std::move(on_done));
    removals_[key].waiting.push_back(waiter);
    backlog_.hold(key, true);
    advance_removal(key);
    return std::make_unique<Waiting<OnDone>>(waiter);
}

/// What is on its way in or out has to end first: a PUT that arrives after the DELETE would bring
/// the object back.
void JournaledStore::advance_removal(const ObjectKey& key) {
    const auto found = removals_.find(key);
    if (found == removals_.end() || found->second.begun) return;
    if (writes_.contains(key) || backlog_.sending(key) || unlinking_.contains(key)) return;
    found->second.begun = true;
    std::optional<JournalName> name;
    if (const PendingObject* pending = backlog_.find(key)) name = pending->file.name;
    jobs_.run(
        loop_,
        [files = files_, name]() -> Status {
            if (name) {
                if (auto status = files->remove(*name); !status) return status;
            }
            // Of this object too, where it was sent a moment ago: a power cut must not bring the
            // file back, or it would be sent again.
            return files->sync_removals();
        },
        [this, alive = std::weak_ptr(alive_), key](const Status& status) {
            if (!alive.expired()) on_pending_removed(key, status);
        });
}

void JournaledStore::on_pending_removed(const ObjectKey& key, const Status& status) {
    if (!status) return end_removal(key, status);
    if (const PendingObject* pending = backlog_.find(key)) {
        const std::uint64_t size_bytes = pending->file.size_bytes;
        (void)backlog_.drop(pending->file.name.number);
        backlog_.release(size_bytes);
        changed();
    }
    removals_.at(key).transfer =
        below_.remove(key, [this, key](const Status& removed) { end_removal(key, removed); });
}

void JournaledStore::end_removal(const ObjectKey& key, const Status& status) {
    const auto ended = std::make_shared<Removal>(std::move(removals_.at(key)));
    removals_.erase(key);
    backlog_.hold(key, false);
    loop_.post([ended] { ended->transfer.reset(); });
    pump();
    const std::weak_ptr alive(alive_);
    for (const RemoveWaiter& waiter : ended->waiting) {
        const OnDone on_done = std::exchange(*waiter, nullptr);
        if (on_done) on_done(status);
        if (alive.expired()) return;
    }
}

}  // namespace kollator::store
