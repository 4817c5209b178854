#include "chunk/store_lists.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "chunk/fetcher.h"

namespace kollator::chunk {

StoreLists::StoreLists(EventLoop& loop, store::ObjectStore& store, KnownStored& stored,
                       const HiddenNames& hidden, const ChunkServiceOptions& options)
    : loop_(loop), store_(store), stored_(stored), hidden_(hidden), options_(options) {}

void StoreLists::list(store::ObjectKind kind, const std::array<std::uint8_t, 32>& after,
                      std::size_t limit, OnPage on_done) {
    KOLLATOR_CHECK(loop_.in_loop_thread());
    if (lists_.size() >= options_.max_lists) {
        loop_.post([alive = std::weak_ptr(alive_), on_done = std::move(on_done)] {
            if (alive.expired()) return;
            on_done(make_error(ErrorCode::kLimit, "too many listings are under way"));
        });
        return;
    }
    const std::uint64_t ticket = next_ticket_++;
    lists_[ticket] = {kind, std::clamp<std::size_t>(limit, 1, store::kMaxListEntries),
                      std::move(on_done), 0, nullptr};
    ask(ticket, after);
}

void StoreLists::ask(std::uint64_t ticket, const std::array<std::uint8_t, 32>& after) {
    Listing& listing = lists_.at(ticket);
    listing.generation = hidden_.generation();
    listing.transfer = store_.list(
        listing.kind, after, listing.limit,
        [this, ticket](const Result<store::ListPage>& listed) { on_listed(ticket, listed); });
}

store::ListPage StoreLists::seen(const Listing& listing, const store::ListPage& listed) {
    // What was deleted since may still be in the list.
    const bool certain = listing.generation == hidden_.generation();
    store::ListPage page;
    page.more = listed.more;
    for (const store::ListEntry& entry : listed.entries) {
        // Larger than any blob: not one of ours, whatever its name.
        if (entry.size_bytes == 0 || entry.size_bytes > UINT32_MAX) continue;
        store::ObjectKey key{ChunkId(entry.hash)};
        key.kind = listing.kind;
        if (hidden_.contains(key)) continue;
        if (certain) stored_.note(key, entry.size_bytes);
        page.entries.push_back(entry);
    }
    return page;
}

void StoreLists::on_listed(std::uint64_t ticket, const Result<store::ListPage>& listed) {
    Listing& listing = lists_.at(ticket);
    dispose(loop_, std::move(listing.transfer));
    store::ListPage page;
    if (listed) {
        page = seen(listing, *listed);
        // An empty page would leave the requester nothing to go on from.
        if (page.entries.empty() && page.more && !listed->entries.empty()) {
            return ask(ticket, listed->entries.back().hash);
        }
    }
    const OnPage on_done = std::move(listing.on_done);
    lists_.erase(ticket);
    if (listed) {
        on_done(std::move(page));
    } else {
        on_done(as_seen_by_requester(listed.error()));
    }
}

}  // namespace kollator::chunk
