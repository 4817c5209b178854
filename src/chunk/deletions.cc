#include "chunk/deletions.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("deletions");

constexpr std::size_t kMaxFileBytes = 64U << 20;
constexpr std::string_view kHeader =
    "# Objects that are deleted when they are old enough, and when: seconds since 1970.\n";

std::optional<WaitingDeletion> parse_line(std::string_view line) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    const std::string_view path = line.substr(0, blank);
    const std::string_view number = line.substr(blank + 1);
    std::int64_t due_s = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), due_s);
    if (error != std::errc() || end != number.data() + number.size() || due_s < 0) {
        return std::nullopt;
    }
    for (const auto kind : {store::ObjectKind::kChunk, store::ObjectKind::kTorrent}) {
        const std::string_view prefix = store::prefix_of(kind);
        if (!path.starts_with(prefix)) continue;
        const auto id = ChunkId::from_hex(path.substr(prefix.size()));
        if (!id) return std::nullopt;
        store::ObjectKey key(*id);
        key.kind = kind;
        return WaitingDeletion{key, due_s};
    }
    return std::nullopt;
}

/// The name before this one, from which a list begins with it. No SHA-256 is all zeros.
std::array<std::uint8_t, 32> before(std::array<std::uint8_t, 32> hash) {
    for (std::size_t i = hash.size(); i-- > 0;) {
        if (hash[i]-- != 0) break;
    }
    return hash;
}

}  // namespace

ParsedDeletions parse_deletions(ByteSpan file) {
    ParsedDeletions parsed;
    std::string_view rest = as_text(file);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.empty() || line.front() == '#') continue;
        if (const auto one = parse_line(line)) {
            parsed.waiting.push_back(*one);
        } else {
            ++parsed.wrong_lines;
        }
    }
    return parsed;
}

std::string deletions_text(const std::vector<WaitingDeletion>& waiting) {
    std::string text(kHeader);
    for (const WaitingDeletion& one : waiting) {
        text += one.key.path() + ' ' + std::to_string(one.due_s) + '\n';
    }
    return text;
}

Deletions::Deletions(EventLoop& loop, JobPool& jobs, const Clock& clock, FileSystem& fs,
                     store::ObjectStore& store, HiddenNames& hidden, DeletionOptions options)
    : loop_(loop),
      jobs_(jobs),
      clock_(clock),
      fs_(fs),
      store_(store),
      hidden_(hidden),
      options_(std::move(options)),
      timer_(loop) {}

Status Deletions::load() {
    if (options_.path.empty()) return {};
    const auto bytes = read_file(fs_, options_.path, kMaxFileBytes);
    if (!bytes && bytes.error().code != ErrorCode::kNotFound) return bytes.error();
    if (bytes) {
        const ParsedDeletions parsed = parse_deletions(*bytes);
        if (parsed.wrong_lines > 0) {
            kLog.error("event=damaged path=\"{}\" lines_left_out={}", options_.path.string(),
                       parsed.wrong_lines);
        }
        for (const WaitingDeletion& one : parsed.waiting) {
            Entry& entry = entries_[one.key];
            entry.due_s = one.due_s;
            entry.in_file = true;
            wait(one.key, entry);
            hidden_.hide(one.key);
        }
        if (!due_.empty()) kLog.info("event=loaded waiting={}", due_.size());
    }
    timer_.start_after(options_.interval, [this] { tick(); });
    return {};
}

std::int64_t Deletions::now_s() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
        .count();
}

Deletions::Stats Deletions::stats() const {
    Stats stats = stats_;
    stats.waiting = due_.size();
    stats.next_due_s = due_.empty() ? 0 : due_.begin()->first;
    return stats;
}

// --- asked for ---------------------------------------------------------------------------------

void Deletions::remove(const store::ObjectKey& key, OnRemoved on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    const auto answer = [&](Result<std::int64_t> outcome) {
        loop_.post([alive = std::weak_ptr(alive_), on_done, outcome = std::move(outcome)] {
            if (!alive.expired()) on_done(outcome);
        });
    };
    if (const auto found = entries_.find(key); found != entries_.end()) {
        Entry& entry = found->second;
        if (entry.phase == DeletionPhase::kWaiting) return answer(entry.due_s);
        if (entry.phase == DeletionPhase::kWithdrawing) {
            return answer(make_error(ErrorCode::kLimit, key.path() + " is being stored anew"));
        }
        entry.removers.push_back(std::move(on_done));
        return;
    }
    if (entries_.size() - due_.size() >= options_.max_under_way) {
        return answer(make_error(ErrorCode::kLimit, "too many deletions are under way"));
    }
    entries_[key].removers.push_back(std::move(on_done));
    hidden_.hide(key);
    if (options_.min_age > std::chrono::seconds(0)) {
        ask_age(key);
    } else {
        delete_now(key);
    }
}

void Deletions::before_store(const store::ObjectKey& key, OnFree go_on) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return go_on({});
    found->second.storers.push_back(std::move(go_on));
    if (found->second.phase == DeletionPhase::kWaiting) withdraw(key);
}

/// By a list of one entry: it tells the object's age, in any store.
void Deletions::ask_age(const store::ObjectKey& key) {
    Entry& entry = entries_.at(key);
    entry.phase = DeletionPhase::kAsking;
    entry.transfer =
        store_.list(key.kind, before(key.hash), 1,
                    [this, key](const Result<store::ListPage>& page) { on_age(key, page); });
}

void Deletions::on_age(const store::ObjectKey& key, const Result<store::ListPage>& page) {
    dispose(loop_, std::move(entries_.at(key).transfer));
    if (!page) {
        ++stats_.failures;
        return finish(key, page.error());
    }
    // Not in the list: perhaps it is not there yet. Deleting what is not there does no harm.
    if (page->entries.empty() || page->entries.front().hash != key.hash) return delete_now(key);
    const std::int64_t stored_s = page->entries.front().modified_s;
    const std::int64_t due_s = (stored_s > 0 ? stored_s : now_s()) + options_.min_age.count();
    if (due_s <= now_s()) return delete_now(key);
    enqueue(key, due_s);
}

// --- waiting -----------------------------------------------------------------------------------

void Deletions::wait(const store::ObjectKey& key, Entry& entry) {
    entry.phase = DeletionPhase::kWaiting;
    due_.emplace(entry.due_s, key);
}

void Deletions::enqueue(const store::ObjectKey& key, std::int64_t due_s) {
    if (due_.size() >= options_.max_waiting || options_.path.empty()) {
        return finish(key, make_error(ErrorCode::kLimit, "too many deletions wait"));
    }
    Entry& entry = entries_.at(key);
    entry.phase = DeletionPhase::kQueueing;
    entry.due_s = due_s;
    entry.in_file = true;
    persist([this, key](const Status& status) {
        Entry& queued = entries_.at(key);
        if (!status) {
            queued.in_file = false;
            ++stats_.failures;
            return finish(key, make_error(ErrorCode::kUnavailable, status.error().detail));
        }
        kLog.info("event=waits key={} due_s={}", key.path(), queued.due_s);
        wait(key, queued);
        const bool stored_anew = !queued.storers.empty();
        const auto removers = std::exchange(queued.removers, {});
        const std::int64_t due = queued.due_s;
        if (stored_anew) withdraw(key);
        const std::weak_ptr alive(alive_);
        for (const OnRemoved& on_done : removers) {
            on_done(due);
            if (alive.expired()) return;
        }
    });
}

void Deletions::withdraw(const store::ObjectKey& key) {
    Entry& entry = entries_.at(key);
    due_.erase({entry.due_s, key});
    entry.phase = DeletionPhase::kWithdrawing;
    persist([this, key](const Status& status) {
        if (status) {
            ++stats_.withdrawn;
            kLog.info("event=withdrawn key={} reason=\"stored anew\"", key.path());
            return finish(key, std::int64_t{0});
        }
        ++stats_.failures;
        Entry& kept = entries_.at(key);
        wait(key, kept);
        const Error error = make_error(ErrorCode::kUnavailable, status.error().detail);
        const auto storers = std::exchange(kept.storers, {});
        const std::weak_ptr alive(alive_);
        for (const OnFree& go_on : storers) {
            go_on(error);
            if (alive.expired()) return;
        }
    });
}

void Deletions::tick() {
    delete_due();
    timer_.start_after(options_.interval, [this] { tick(); });
}

void Deletions::delete_due() {
    while (deleting_due_ < options_.parallel && !due_.empty() && due_.begin()->first <= now_s()) {
        const store::ObjectKey key = due_.begin()->second;
        due_.erase(due_.begin());
        ++deleting_due_;
        delete_now(key);
    }
}

// --- deleted -----------------------------------------------------------------------------------

void Deletions::delete_now(const store::ObjectKey& key) {
    Entry& entry = entries_.at(key);
    entry.phase = DeletionPhase::kDeleting;
    entry.transfer =
        store_.remove(key, [this, key](const Status& status) { on_deleted(key, status); });
}

void Deletions::on_deleted(const store::ObjectKey& key, const Status& status) {
    Entry& entry = entries_.at(key);
    dispose(loop_, std::move(entry.transfer));
    if (entry.in_file) --deleting_due_;
    if (!status) {
        ++stats_.failures;
        kLog.warn("event=delete-failed key={} reason=\"{}\"", key.path(), status.error().detail);
        if (!entry.in_file) return finish(key, status.error());
        return keep_waiting(key, status.error());
    }
    ++stats_.removed;
    kLog.info("event=deleted key={}", key.path());
    if (!entry.in_file) return finish(key, std::int64_t{0});
    // A store of this name may be acknowledged only once no restart deletes it again.
    entry.phase = DeletionPhase::kClosing;
    persist([this, key](const Status& written) {
        if (written) return finish(key, std::int64_t{0});
        ++stats_.failures;
        keep_waiting(key, make_error(ErrorCode::kUnavailable, written.error().detail));
    });
    delete_due();
}

/// Tried again in a while; whoever waits for the outcome is told.
void Deletions::keep_waiting(const store::ObjectKey& key, const Error& error) {
    Entry& entry = entries_.at(key);
    entry.due_s =
        now_s() + std::chrono::duration_cast<std::chrono::seconds>(options_.interval).count();
    wait(key, entry);
    const auto removers = std::exchange(entry.removers, {});
    if (!entry.storers.empty()) withdraw(key);
    const std::weak_ptr alive(alive_);
    for (const OnRemoved& on_done : removers) {
        on_done(error);
        if (alive.expired()) return;
    }
}

/// The name is nobody's concern any more.
void Deletions::finish(const store::ObjectKey& key, const Result<std::int64_t>& outcome) {
    const Entry ended = std::move(entries_.at(key));
    entries_.erase(key);
    hidden_.show(key);
    const std::weak_ptr alive(alive_);
    for (const OnRemoved& on_done : ended.removers) {
        on_done(outcome);
        if (alive.expired()) return;
    }
    for (const OnFree& go_on : ended.storers) {
        go_on({});
        if (alive.expired()) return;
    }
}

// --- the file ----------------------------------------------------------------------------------

void Deletions::persist(std::function<void(Status)> then) {
    unwritten_.push_back(std::move(then));
    if (!writing_) write_down();
}

/// All changes that came during a write are in the next one.
void Deletions::write_down() {
    writing_ = true;
    std::vector<WaitingDeletion> waiting;
    for (const auto& [key, entry] : entries_) {
        const bool over =
            entry.phase == DeletionPhase::kClosing || entry.phase == DeletionPhase::kWithdrawing;
        if (entry.in_file && !over) waiting.push_back({key, entry.due_s});
    }
    jobs_.run(
        loop_,
        [&fs = fs_, path = options_.path, waiting = std::move(waiting)] {
            return write_file_durably(fs, path, as_bytes(deletions_text(waiting)));
        },
        [this, alive = std::weak_ptr(alive_),
         told = std::exchange(unwritten_, {})](const Status& status) {
            for (const auto& then : told) {
                if (alive.expired()) return;
                then(status);
            }
            if (alive.expired()) return;
            writing_ = false;
            if (!unwritten_.empty()) write_down();
        });
}

}  // namespace kollator::chunk
