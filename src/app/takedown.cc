#include "app/takedown.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/file_system.h"
#include "loop/system_clock.h"

namespace kollator::app {
namespace {

http::ChunkListing to_listing(const chunk::ChunkPage& page) {
    http::ChunkListing listing;
    listing.more = page.more;
    for (const chunk::ChunkEntry& entry : page.entries) {
        listing.chunks.push_back({entry.id, entry.size_bytes});
    }
    return listing;
}

http::TorrentListing to_listing(const chunk::TorrentPage& page) {
    http::TorrentListing listing;
    listing.more = page.more;
    for (const chunk::TorrentEntry& entry : page.entries) {
        http::ListedTorrent torrent{entry.id, entry.metadata_bytes, std::nullopt, 0};
        if (entry.summary) {
            torrent.name = entry.summary->name;
            torrent.length_bytes = entry.summary->length_bytes;
        }
        listing.torrents.push_back(std::move(torrent));
    }
    return listing;
}

/// The answer of the chunk service as the endpoints want it.
template <typename Listing>
auto listing_to(std::function<void(Result<Listing>)> on_done) {
    return [on_done = std::move(on_done)](const auto& page) {
        if constexpr (requires { page.error(); }) {
            on_done(page ? Result<Listing>(to_listing(*page)) : Result<Listing>(page.error()));
        } else {
            on_done(to_listing(page));
        }
    };
}

auto removal_to(std::function<void(Result<http::Removal>)> on_done) {
    return [on_done = std::move(on_done)](const Result<std::int64_t>& due_s) {
        on_done(due_s ? Result<http::Removal>(http::Removal{*due_s})
                      : Result<http::Removal>(due_s.error()));
    };
}

}  // namespace

Takedown::Takedown(const Parts& parts)
    : parts_(parts),
      denylist_hashes_(parts.metrics.gauge("kollator_denylist_hashes",
                                           "Hashes of the denylist that are in force")),
      deletions_waiting_(parts.metrics.gauge(
          "kollator_deletions_waiting", "Deletions that wait for the minimum storage duration")),
      deletions_(parts.metrics.gauge("kollator_deletions_done",
                                     "Objects deleted from the object store since the start")) {}

Result<std::unique_ptr<Takedown>> Takedown::start(const Parts& parts) {
    std::unique_ptr<Takedown> takedown(new Takedown(parts));
    if (auto status = takedown->open_deletions(); !status) return status.error();
    if (!parts.config.denylist_path.empty()) {
        if (auto status = takedown->open_denylist(); !status) return status.error();
    }
    if (parts.config.expire_after > std::chrono::hours(0)) {
        chunk::ExpiryOptions options;
        options.max_age = std::max(parts.config.expire_after, parts.config.min_storage);
        takedown->expiry_ = std::make_unique<chunk::ExpirySweep>(
            parts.loop, system_clock(), parts.store, takedown->remover(), options);
    }
    return takedown;
}

Status Takedown::open_deletions() {
    chunk::DeletionOptions options;
    options.path = parts_.data / "deletes";
    options.min_age = parts_.config.min_storage;
    auto status = parts_.chunks.open_deletions(posix_file_system(), options);
    if (status) return {};
    return make_error(ErrorCode::kInvalid, "the deletions that wait: " + status.error().detail);
}

Status Takedown::open_denylist() {
    if (parts_.config.denylist_purges_store) {
        chunk::StorePurgeOptions options;
        options.mark_path = parts_.data / "denylist.purged";
        purge_ = std::make_unique<chunk::StorePurge>(parts_.loop, parts_.jobs, posix_file_system(),
                                                     remover(), options);
    }
    denylist_ = std::make_unique<chunk::DenylistFile>(parts_.loop, parts_.jobs, posix_file_system(),
                                                      parts_.config.denylist_path,
                                                      [this](const chunk::DenylistPtr& list) {
                                                          parts_.chunks.set_denylist(list);
                                                          withhold(list);
                                                          if (purge_) purge_->set_denylist(list);
                                                      });
    if (auto status = denylist_->load(); !status) {
        return make_error(ErrorCode::kInvalid,
                          "DENYLIST_PATH: " + status.error().detail +
                              "; an empty file denies nothing, a missing one is not accepted");
    }
    // Only here: without a denylist a hang-up ends the process, as a closed terminal should.
    hang_up_ = std::make_unique<SignalWatch>(parts_.loop, std::vector<int>{SIGHUP},
                                             [this](int) { denylist_->reload(); });
    return {};
}

void Takedown::withhold(const chunk::DenylistPtr& list) {
    if (parts_.journal == nullptr) return;
    parts_.journal->withhold(
        [list](const store::ObjectKey& key) { return list->contains(key.hash); });
}

chunk::ExpirySweep::Remove Takedown::remover() {
    return [&chunks = parts_.chunks](const store::ObjectKey& key,
                                     chunk::Deletions::OnRemoved on_done) {
        chunks.remove(key, std::move(on_done));
    };
}

http::ObjectHooks Takedown::hooks() {
    http::ObjectHooks hooks;
    auto& chunks = parts_.chunks;
    hooks.chunks = [&chunks](const http::ListQuery& query, auto on_done) {
        const ChunkId after(query.after);
        if (query.scope == http::ListScope::kCachedHere) {
            return on_done(to_listing(chunks.list_cached(after, query.limit)));
        }
        chunks.list_stored(after, query.limit, listing_to<http::ChunkListing>(std::move(on_done)));
    };
    hooks.torrents = [&chunks](const http::ListQuery& query, auto on_done) {
        const MetadataId after(query.after);
        auto answer = listing_to<http::TorrentListing>(std::move(on_done));
        if (query.scope == http::ListScope::kCachedHere) {
            chunks.list_cached_torrents(after, query.limit, std::move(answer));
        } else {
            chunks.list_stored_torrents(after, query.limit, std::move(answer));
        }
    };
    hooks.remove_chunk = [&chunks](const ChunkId& id, auto on_done) {
        chunks.remove(store::ObjectKey(id), removal_to(std::move(on_done)));
    };
    hooks.remove_torrent = [&chunks](const MetadataId& id, auto on_done) {
        chunks.remove(store::ObjectKey(id), removal_to(std::move(on_done)));
    };
    return hooks;
}

std::optional<http::HealthCheck> Takedown::health() const {
    if (!denylist_) return std::nullopt;
    const auto& state = denylist_->state();
    if (state.error) {
        return http::HealthCheck{
            "denylist", http::CheckStatus::kWarn,
            fmt::format("cannot be read: {}; the last good one ({} hashes) is in force",
                        state.error->detail, state.hashes)};
    }
    if (state.fault_count > 0) {
        const auto& first = state.faults.front();
        return http::HealthCheck{
            "denylist", http::CheckStatus::kWarn,
            fmt::format("{} wrong lines, the first is line {}: {}; the other {} hashes are in "
                        "force",
                        state.fault_count, first.line, first.what, state.hashes)};
    }
    return http::HealthCheck{"denylist", http::CheckStatus::kOk,
                             fmt::format("{} hashes", state.hashes)};
}

void Takedown::add_to(http::WorkerStats& stats) const {
    auto& takedown = stats.takedown;
    const chunk::ChunkServiceStats counts = parts_.chunks.stats();
    takedown.denylist_hashes = parts_.chunks.hidden().denylist().size();
    takedown.denied_requests = counts.denied;
    takedown.purged_from_cache = counts.purged;
    const chunk::Deletions::Stats deletions = parts_.chunks.deletion_stats();
    takedown.deleted = deletions.removed;
    takedown.deletes_pending = deletions.waiting;
    takedown.next_delete_s = deletions.next_due_s;
    takedown.delete_failures = deletions.failures;
    if (purge_) {
        const chunk::StorePurge::Stats purge = purge_->stats();
        takedown.purge = {purge.hashes_left, purge.purged, purge.failures};
    }
    if (expiry_) {
        const chunk::ExpirySweep::Stats& expiry = expiry_->stats();
        takedown.expiry = {expiry.passes, expiry.seen, expiry.expired, expiry.failures,
                           expiry.finished_s};
    }
}

void Takedown::update_metrics() {
    const chunk::Deletions::Stats deletions = parts_.chunks.deletion_stats();
    denylist_hashes_.set(static_cast<double>(parts_.chunks.hidden().denylist().size()));
    deletions_waiting_.set(static_cast<double>(deletions.waiting));
    deletions_.set(static_cast<double>(deletions.removed));
}

}  // namespace kollator::app
