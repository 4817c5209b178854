#include "chunk/store_purge.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "crypto/hash.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("denylist");

/// Looked up in one turn of the loop: about 2 ms for a million names.
constexpr std::size_t kLooksPerTurn = 2000;
constexpr std::size_t kMaxMarkBytes = 1024;

/// Names a list by its content. A million names take a job a tenth of a second.
std::string mark_of(const Denylist& list) {
    const auto& hashes = list.hashes();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(hashes.data());
    return to_hex(crypto::sha256({bytes, hashes.size() * sizeof(Denylist::Hash)})) + "\n";
}

}  // namespace

StorePurge::StorePurge(EventLoop& loop, JobPool& jobs, FileSystem& fs, Remove remove,
                       StorePurgeOptions options)
    : loop_(loop),
      jobs_(jobs),
      fs_(fs),
      remove_(std::move(remove)),
      options_(std::move(options)),
      retry_(loop) {}

StorePurge::Stats StorePurge::stats() const {
    Stats stats = stats_;
    if (list_) stats.hashes_left = list_->size() - next_ + under_way_ + failed_.size();
    return stats;
}

void StorePurge::set_denylist(DenylistPtr list) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    if (list_ && begun_ && next_ < list_->size()) {
        const Denylist::Hash& reached = list_->hashes()[next_];
        // Another one that came further keeps its place until this one has passed it.
        if (!partly_ || reached > frontier_) {
            partly_ = list_;
            frontier_ = reached;
        }
    }
    list_ = std::move(list);
    next_ = 0;
    begun_ = false;
    std::erase_if(failed_, [this](const auto& hash) { return !list_->contains(hash); });
    jobs_.run(
        loop_,
        [&fs = fs_, path = options_.mark_path, list = list_] {
            const auto mark = read_file(fs, path, kMaxMarkBytes);
            return mark.ok() && as_text(*mark) == mark_of(*list);
        },
        [this, alive = std::weak_ptr(alive_), round = ++round_](bool purged_already) {
            if (!alive.expired() && round == round_) begin(purged_already);
        });
}

void StorePurge::begin(bool purged_already) {
    begun_ = true;
    if (purged_already) {
        next_ = list_->size();
        done_ = list_;
    }
    pump();
}

bool StorePurge::purged_before(const Denylist::Hash& hash) const {
    if (done_ && done_->contains(hash)) return true;
    return partly_ && hash < frontier_ && partly_->contains(hash);
}

void StorePurge::pump_soon() {
    if (std::exchange(pump_posted_, true)) return;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        pump_posted_ = false;
        pump();
    });
}

void StorePurge::pump() {
    if (!begun_ || !failed_.empty()) return;
    for (std::size_t looks = 0; next_ < list_->size(); ++looks) {
        if (looks == kLooksPerTurn) return pump_soon();
        if (under_way_ == options_.parallel) return;
        const Denylist::Hash hash = list_->hashes()[next_++];
        if (!purged_before(hash)) purge(hash);
    }
    if (under_way_ == 0 && done_ != list_) finish();
}

void StorePurge::purge(const Denylist::Hash& hash) {
    ++under_way_;
    const store::ObjectKey chunk{ChunkId(hash)};
    const store::ObjectKey torrent{MetadataId(hash)};
    remove_(chunk, [this, alive = std::weak_ptr(alive_), torrent](const auto& outcome) {
        if (alive.expired()) return;
        if (!outcome) return on_removed(torrent.hash, outcome);
        remove_(torrent, [this, alive, torrent](const auto& second) {
            if (!alive.expired()) on_removed(torrent.hash, second);
        });
    });
}

void StorePurge::on_removed(const Denylist::Hash& hash, const Result<std::int64_t>& outcome) {
    --under_way_;
    if (outcome) {
        ++stats_.purged;
        return pump();
    }
    if (failed_.empty()) {
        kLog.warn("event=purge-failed action=try-again reason=\"{}\"", outcome.error().detail);
    }
    ++stats_.failures;
    failed_.push_back(hash);
    if (!retry_.active()) retry_.start_after(options_.retry_after, [this] { try_again(); });
}

void StorePurge::try_again() {
    for (const Denylist::Hash& hash : std::exchange(failed_, {})) {
        if (list_->contains(hash)) purge(hash);
    }
    pump();
}

void StorePurge::finish() {
    done_ = list_;
    partly_.reset();
    kLog.info("event=purged hashes={}", list_->size());
    jobs_.run(
        loop_,
        [&fs = fs_, path = options_.mark_path, list = list_] {
            return write_file_durably(fs, path, as_bytes(mark_of(*list)));
        },
        [](const Status& status) {
            if (!status) kLog.warn("event=mark-not-written reason=\"{}\"", status.error().detail);
        });
}

}  // namespace kollator::chunk
