#include "chunk/expiry_sweep.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {
namespace {

const log::Logger kLog("expiry");

}  // namespace

ExpirySweep::ExpirySweep(EventLoop& loop, const Clock& clock, store::ObjectStore& store,
                         Remove remove, ExpiryOptions options)
    : loop_(loop),
      clock_(clock),
      store_(store),
      remove_(std::move(remove)),
      options_(options),
      timer_(loop) {
    KOLLATOR_CHECK(options_.max_age > std::chrono::seconds(0));
    timer_.start_after(options_.first_after, [this] { begin(); });
}

std::int64_t ExpirySweep::now_s() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch())
        .count();
}

void ExpirySweep::begin() {
    kind_ = store::ObjectKind::kChunk;
    after_.fill(0);
    ask();
}

void ExpirySweep::ask() {
    transfer_ = store_.list(kind_, after_, store::kMaxListEntries,
                            [this](const Result<store::ListPage>& page) { on_page(page); });
}

void ExpirySweep::on_page(const Result<store::ListPage>& page) {
    dispose(loop_, std::move(transfer_));
    if (!page) {
        ++stats_.failures;
        kLog.warn("event=pass-ended reason=\"{}\"", page.error().detail);
        return end_pass(options_.retry_after);
    }
    more_ = page->more && !page->entries.empty();
    if (more_) after_ = page->entries.back().hash;
    stats_.seen += page->entries.size();
    const std::int64_t oldest_s = now_s() - options_.max_age.count();
    for (const store::ListEntry& entry : page->entries) {
        if (entry.modified_s == 0 || entry.modified_s > oldest_s) continue;
        store::ObjectKey key{ChunkId(entry.hash)};
        key.kind = kind_;
        expired_.push_back(key);
    }
    std::reverse(expired_.begin(), expired_.end());
    remove_next();
}

void ExpirySweep::remove_next() {
    if (!expired_.empty()) {
        const store::ObjectKey key = expired_.back();
        expired_.pop_back();
        remove_(key, [this, alive = std::weak_ptr(alive_)](const Result<std::int64_t>& outcome) {
            if (alive.expired()) return;
            if (outcome) {
                ++stats_.expired;
                return remove_next();
            }
            // One that fails is an order of things that the next one will not change.
            ++stats_.failures;
            kLog.warn("event=pass-ended reason=\"{}\"", outcome.error().detail);
            expired_.clear();
            end_pass(options_.retry_after);
        });
        return;
    }
    if (more_) {
        timer_.start_after(options_.pause, [this] { ask(); });
    } else if (kind_ == store::ObjectKind::kChunk) {
        kind_ = store::ObjectKind::kTorrent;
        after_.fill(0);
        ask();
    } else {
        ++stats_.passes;
        stats_.finished_s = now_s();
        kLog.info("event=pass-done seen={} expired={}", stats_.seen, stats_.expired);
        end_pass(options_.interval);
    }
}

void ExpirySweep::end_pass(Duration next_after) {
    timer_.start_after(next_after, [this] { begin(); });
}

}  // namespace kollator::chunk
