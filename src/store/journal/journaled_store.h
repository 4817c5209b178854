#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/time.h"
#include "loop/event_loop.h"
#include "loop/job_pool.h"
#include "store/journal/backlog.h"
#include "store/journal/journal_files.h"
#include "store/object_store.h"

namespace kollator::store {

struct JournalOptions {
    std::filesystem::path root;
    /// False (WRITE_POLICY=through): nothing new is journaled; what is pending is still sent.
    bool accepts = true;
    BacklogOptions backlog;
};

struct JournalStats {
    std::uint64_t objects = 0;  ///< pending
    std::uint64_t size_bytes = 0;
    std::uint64_t max_bytes = 0;
    Duration oldest_age{};  ///< since it was journaled; of those that are to be sent
    std::uint64_t sending = 0;
    std::uint64_t withheld = 0;   ///< not to be sent: their names are withheld
    std::uint64_t journaled = 0;  ///< since the start, as all below
    std::uint64_t sent = 0;
    std::uint64_t failures = 0;  ///< sends that the object store did not take; they are repeated
    std::uint64_t refused = 0;   ///< stores that the full backlog refused
    std::uint64_t damaged = 0;   ///< files that did not hold what was written, or were gone
    std::string send_error;      ///< of the last send; empty when that arrived
    std::string write_error;     ///< of the last write; empty when that succeeded
};

/// Write-back: an ObjectStore that answers put() when the object is in its journal, on this disk,
/// and passes it on to the store below in its own time: in order, a few at once, for as long as it
/// takes, over restarts. See docs/adr/0007.
///
/// get(), stat() and remove() know what is pending; list() gives what the store below has. Besides
/// the errors of ObjectStore, put() gives kLimit where the backlog or the disk is full, or the
/// object is being removed, and kUnavailable where the disk fails: then nothing is kept.
class JournaledStore final : public ObjectStore {
 public:
    /// Lists the journal (blocking: at start-up, before the loop runs) and begins to send. An error
    /// where its folder cannot be made or read: what was promised could not be kept. All references
    /// outlive the store; `loop` and `fs` outlive `jobs` too.
    static Result<std::unique_ptr<JournaledStore>> open(EventLoop& loop, JobPool& jobs,
                                                        FileSystem& fs, const Clock& clock,
                                                        Random& random, ObjectStore& below,
                                                        JournalOptions options,
                                                        MetricsRegistry& metrics);
    ~JournaledStore() override;

    TransferHandle get(const ObjectKey& key, const GetOptions& options, OnProgress on_progress,
                       OnGet on_done) override;
    TransferHandle put(const ObjectKey& key, SharedBuffer body,
                       const std::array<std::uint8_t, 32>& payload_sha256, OnPut on_done) override;
    TransferHandle stat(const ObjectKey& key, OnStat on_done) override;
    TransferHandle list(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                        std::size_t limit, OnList on_done) override;
    TransferHandle remove(const ObjectKey& key, OnDone on_done) override;
    TransferHandle probe(OnDone on_done) override { return below_.probe(std::move(on_done)); }
    std::optional<std::uint64_t> pending_size(const ObjectKey& key) const override;
    std::vector<ListEntry> list_pending(ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                                        std::size_t limit) const override;
    StoreStats stats() const override { return below_.stats(); }
    std::vector<StoreCheck> checks() const override { return below_.checks(); }
    std::string describe() const override { return below_.describe(); }

    JournalStats journal_stats() const;
    /// Brings the gauges up to date: ages grow by themselves.
    void refresh_metrics();

    /// From now on until the next call: objects that `withheld` names are kept here and not sent
    /// (what is on its way already arrives). `withheld` is asked on the loop's thread, often.
    void withhold(Backlog::Filter withheld);

    /// Sends what it can without waiting for pauses to end; `on_done` when nothing that may be sent
    /// is pending, or after `at_most`. Called once.
    void drain(Duration at_most, std::function<void()> on_done);

 private:
    template <typename T>
    class Waiting;
    struct Reading;
    class ReadingHandle;
    using PutWaiter = std::shared_ptr<OnPut>;
    using RemoveWaiter = std::shared_ptr<OnDone>;

    /// A put that waits for another one of the same object, with other bytes.
    struct LaterPut {
        SharedBuffer body;
        std::array<std::uint8_t, 32> digest{};
        PutWaiter waiter;
    };
    struct Write {
        SharedBuffer body;
        std::array<std::uint8_t, 32> digest{};
        std::vector<PutWaiter> waiting;
        std::deque<LaterPut> later;
    };
    struct Removal {
        std::vector<RemoveWaiter> waiting;
        bool begun = false;
        TransferHandle transfer;
    };
    struct Metrics {
        explicit Metrics(MetricsRegistry& registry);
        Gauge objects, size_bytes, oldest_age_seconds;
        Counter journaled, sent, failures, refused, damaged;
    };

    JournaledStore(EventLoop& loop, JobPool& jobs, FileSystem& fs, const Clock& clock,
                   Random& random, ObjectStore& below, JournalOptions options,
                   MetricsRegistry& metrics);
    void restore(const JournalScan& scan);

    void start_put(const ObjectKey& key, LaterPut put);
    void pump_writes();
    void start_write(const ObjectKey& key);
    void on_written(const JournalFile& file, const Status& status);
    void answer(PutWaiter waiter, Result<PutOutcome> outcome);

    void read_below(const std::shared_ptr<Reading>& reading);

    void pump();
    void start_send(const JournalFile& file);
    void on_loaded(const JournalFile& file, const Result<JournaledBody>& loaded);
    void on_sent(const JournalFile& file, const Result<PutOutcome>& outcome);
    void send_failed(const JournalFile& file, const Error& error);
    void drop_damaged(const JournalFile& file, const Error& error);
    void remove_file(const JournalFile& file);

    void advance_removal(const ObjectKey& key);
    void on_pending_removed(const ObjectKey& key, const Status& status);
    void end_removal(const ObjectKey& key, const Status& status);

    void changed();
    void check_drained();
    std::int64_t wall_ns() const;

    // injected
    EventLoop& loop_;
    JobPool& jobs_;
    const Clock& clock_;
    ObjectStore& below_;
    const JournalOptions options_;

    // owned
    const std::shared_ptr<JournalFiles> files_;
    Backlog backlog_;
    Metrics metrics_;
    Timer pause_timer_;
    Timer drain_timer_;

    // state
    std::map<ObjectKey, Write> writes_;
    std::deque<ObjectKey> write_queue_;
    std::size_t writing_ = 0;
    std::map<std::uint64_t, TransferHandle> sends_;  // by number; null while it is read
    std::map<ObjectKey, Removal> removals_;
    std::multiset<ObjectKey> unlinking_;  // sent; their files are on their way out
    JournalStats totals_;
    std::function<void()> on_drained_;
    // The last member, so that it goes first: what outlives the store finds it gone.
    const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace kollator::store
