#include "chunk/torrent_list.h"

#include <utility>

#include "crypto/metainfo.h"

namespace kollator::chunk {
namespace {

/// In a job: parsing takes milliseconds.
std::optional<TorrentSummary> summary_of(const BufferSlice& metadata) {
    const auto info = crypto::parse_metainfo(metadata.bytes, metadata.bytes.size());
    if (!info) return std::nullopt;
    return TorrentSummary{std::string(info->name.substr(0, TorrentSummary::kMaxNameBytes)),
                          info->length_bytes};
}

}  // namespace

void TorrentSummaries::fill(TorrentPage page, OnPage on_done) {
    const auto shared = std::make_shared<Page>();
    shared->page = std::move(page);
    shared->on_done = std::move(on_done);
    if (pages_ >= kMaxPages) shared->reads = kMaxReads;
    ++pages_;
    loop_.post([this, alive = std::weak_ptr(alive_), shared] {
        if (!alive.expired()) step(shared);
    });
}

void TorrentSummaries::step(const PagePtr& page) {
    for (; page->next < page->page.entries.size(); ++page->next) {
        TorrentEntry& entry = page->page.entries[page->next];
        if (const auto known = known_.find(entry.id); known != known_.end()) {
            entry.summary = known->second;
        } else if (page->reads < kMaxReads && start_read(page, entry)) {
            return;
        }
    }
    --pages_;
    page->on_done(std::move(page->page));
}

/// False where its metadata is not cached.
bool TorrentSummaries::start_read(const PagePtr& page, TorrentEntry& entry) {
    page->reading = cache_.find_again(ChunkId(entry.id.bytes()));
    if (!page->reading) return false;
    ++page->reads;
    page->reading->read(
        0, page->reading->size_bytes(),
        [this, alive = std::weak_ptr(alive_), page](const Result<BufferSlice>& bytes) {
            if (!alive.expired()) on_bytes(page, bytes);
        });
    return true;
}

void TorrentSummaries::on_bytes(const PagePtr& page, const Result<BufferSlice>& bytes) {
    if (!bytes) return on_summary(page, std::nullopt);
    jobs_.run(
        loop_, [slice = *bytes] { return summary_of(slice); },
        [this, alive = std::weak_ptr(alive_), page](const std::optional<TorrentSummary>& summary) {
            if (!alive.expired()) on_summary(page, summary);
        });
}

void TorrentSummaries::on_summary(const PagePtr& page,
                                  const std::optional<TorrentSummary>& summary) {
    page->reading.reset();
    TorrentEntry& entry = page->page.entries[page->next++];
    entry.summary = summary;
    if (summary) {
        if (known_.size() >= kMaxRemembered) known_.clear();
        known_.emplace(entry.id, *summary);
    }
    step(page);
}

}  // namespace kollator::chunk
