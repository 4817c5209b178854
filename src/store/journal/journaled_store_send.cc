// The way out of the journal: sends, their failures, draining, and what is told of it.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "store/journal/journaled_store.h"

namespace kollator::store {
namespace {

const log::Logger kLog("store");

}  // namespace

void JournaledStore::pump() {
    const TimePoint now = clock_.now();
    while (const auto file = backlog_.next(now)) start_send(*file);
    const auto when = backlog_.next_time(now);
    // Where it could be now, the end of another send is waited for.
    if (when && *when > now) pause_timer_.start_after(*when - now, [this] { pump(); });
}

void JournaledStore::start_send(const JournalFile& file) {
    sends_[file.name.number] = nullptr;
    jobs_.run(
        loop_, [files = files_, name = file.name] { return files->load(name); },
        [this, alive = std::weak_ptr(alive_), file](const Result<JournaledBody>& loaded) {
            if (!alive.expired()) on_loaded(file, loaded);
        });
}

void JournaledStore::on_loaded(const JournalFile& file, const Result<JournaledBody>& loaded) {
    const std::uint64_t number = file.name.number;
    if (loaded && backlog_.withheld(file.name.key)) {  // since it was chosen
        sends_.erase(number);
        backlog_.put_back(number);
        advance_removal(file.name.key);
        pump();
        return changed();
    }
    if (loaded) {
        sends_.at(number) =
            below_.put(file.name.key, loaded->body, loaded->digest,
                       [this, file](const Result<PutOutcome>& outcome) { on_sent(file, outcome); });
        return;
    }
    sends_.erase(number);
    const bool lost =
        loaded.error().code == ErrorCode::kCorrupt || loaded.error().code == ErrorCode::kNotFound;
    if (lost) {
        drop_damaged(file, loaded.error());
    } else {
        send_failed(file, loaded.error());
    }
    advance_removal(file.name.key);
    pump();
    changed();
}

void JournaledStore::withhold(Backlog::Filter withheld) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    backlog_.withhold(std::move(withheld));
    pump();
    changed();
}

void JournaledStore::on_sent(const JournalFile& file, const Result<PutOutcome>& outcome) {
    const auto transfer = std::make_shared<TransferHandle>(std::move(sends_.at(file.name.number)));
    sends_.erase(file.name.number);
    loop_.post([transfer] { transfer->reset(); });
    if (outcome) {
        ++totals_.sent;
        metrics_.sent.add();
        if (!totals_.send_error.empty()) {
            kLog.info("event=journal-sends-again pending={}", backlog_.count());
        }
        totals_.send_error.clear();
        if (backlog_.sent(file.name.number)) remove_file(file);
    } else {
        send_failed(file, outcome.error());
    }
    advance_removal(file.name.key);
    pump();
    changed();
}

void JournaledStore::send_failed(const JournalFile& file, const Error& error) {
    ++totals_.failures;
    metrics_.failures.add();
    backlog_.failed(file.name.number, clock_.now());
    const std::string text =
        std::string(to_string(error.code)) + ": " + file.name.key.path() + ": " + error.detail;
    // An outage is one event, not one for each object.
    if (totals_.send_error.empty()) {
        kLog.warn("event=journal-send-failed pending={} detail=\"{}\"", backlog_.count(), text);
    } else {
        kLog.debug("event=journal-send-failed pending={} detail=\"{}\"", backlog_.count(), text);
    }
    totals_.send_error = text;
}

/// Its bytes are not those that were acknowledged: the disk has lost them. They are not sent.
void JournaledStore::drop_damaged(const JournalFile& file, const Error& error) {
    const bool was_there = backlog_.drop(file.name.number);
    if (!was_there) return;  // replaced: its file is gone as it should
    if (error.code == ErrorCode::kNotFound && writes_.contains(file.name.key)) {
        backlog_.release(file.size_bytes);  // about to be replaced, and its file is gone already
        return;
    }
    ++totals_.damaged;
    metrics_.damaged.add();
    kLog.error("event=journal-damaged key={} size_bytes={} action=removed detail=\"{}\"",
               file.name.key.path(), file.size_bytes, error.detail);
    remove_file(file);
}

void JournaledStore::remove_file(const JournalFile& file) {
    unlinking_.insert(file.name.key);
    jobs_.run(
        loop_, [files = files_, name = file.name] { return files->remove(name); },
        [this, alive = std::weak_ptr(alive_), file](const Status& status) {
            if (alive.expired()) return;
            unlinking_.erase(unlinking_.find(file.name.key));
            if (status) {
                backlog_.release(file.size_bytes);
            } else {
                // It takes room until a restart finds it, and sends it once more.
                kLog.error("event=journal-remove-failed detail=\"{}\"", status.error().detail);
            }
            advance_removal(file.name.key);
            changed();
        });
}

// --- what is told ------------------------------------------------------------------------------

void JournaledStore::changed() {
    metrics_.objects.set(static_cast<double>(backlog_.count()));
    metrics_.size_bytes.set(static_cast<double>(backlog_.used_bytes()));
    check_drained();
}

std::int64_t JournaledStore::wall_ns() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               clock_.wall_now().time_since_epoch())
        .count();
}

JournalStats JournaledStore::journal_stats() const {
    JournalStats stats = totals_;
    stats.objects = backlog_.count();
    stats.size_bytes = backlog_.used_bytes();
    stats.max_bytes = backlog_.max_bytes();
    stats.sending = backlog_.sending_count();
    stats.withheld = backlog_.withheld_count();
    if (const auto oldest = backlog_.oldest_ns()) {
        stats.oldest_age = Duration(std::max<std::int64_t>(0, wall_ns() - *oldest));
    }
    return stats;
}

void JournaledStore::refresh_metrics() {
    metrics_.oldest_age_seconds.set(
        std::chrono::duration<double>(journal_stats().oldest_age).count());
}

// --- the end -----------------------------------------------------------------------------------

void JournaledStore::drain(Duration at_most, std::function<void()> on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread() && !on_drained_);
    on_drained_ = std::move(on_done);
    drain_timer_.start_after(at_most, [this] {
        kLog.warn(
            "event=journal-not-drained pending={} size_bytes={} next=\"sent after the start\"",
            backlog_.count(), backlog_.used_bytes());
        const auto done = std::exchange(on_drained_, nullptr);
        if (done) done();
    });
    backlog_.hurry();
    pump();
    check_drained();
}

void JournaledStore::check_drained() {
    if (!on_drained_ || !writes_.empty()) return;
    if (backlog_.count() > backlog_.withheld_count() || backlog_.sending_count() > 0) return;
    if (!unlinking_.empty()) return;
    drain_timer_.cancel();
    loop_.post([done = std::exchange(on_drained_, nullptr)] { done(); });
}

}  // namespace kollator::store
