#include "cache/lru_index.h"

#include <algorithm>

#include "base/check.h"

namespace kollator::cache {

const IndexItem* LruIndex::find(const ChunkId& id) const {
    const auto found = items_.find(id);
    return found == items_.end() ? nullptr : &found->second.item;
}

LruIndex::Node& LruIndex::node(const ChunkId& id) {
    const auto found = items_.find(id);
    KOLLATOR_CHECK(found != items_.end());
    return found->second;
}

bool LruIndex::reserve(std::uint64_t bytes, std::vector<IndexItem>& evicted) {
    const std::uint64_t fixed = reserved_bytes_ + pinned_bytes_;
    if (bytes > max_bytes_ || fixed > max_bytes_ - bytes) return false;
    const std::uint64_t room = max_bytes_ - bytes;
    auto taken = take_oldest([&](const IndexItem&) { return used_bytes() > room; });
    evicted.insert(evicted.end(), taken.begin(), taken.end());
    reserved_bytes_ += bytes;
    return true;
}

void LruIndex::release(std::uint64_t bytes) {
    KOLLATOR_CHECK(bytes <= reserved_bytes_);
    reserved_bytes_ -= bytes;
}

void LruIndex::commit(IndexItem item) {
    release(item.charged_bytes);
    item.last_used_ns = in_order(item.last_used_ns);
    item_bytes_ += item.charged_bytes;
    const auto [place, inserted] = items_.try_emplace(item.id);
    KOLLATOR_CHECK(inserted);
    place->second.item = item;
    place->second.position = order_.insert(order_.end(), &place->second);
}

void LruIndex::touch(const ChunkId& id, std::int64_t now_ns) {
    Node& used = node(id);
    ++used.item.hits;
    used.item.last_used_ns = in_order(now_ns);
    order_.splice(order_.end(), order_, used.position);
}

void LruIndex::pin(const ChunkId& id) {
    Node& pinned = node(id);
    if (pinned.pins++ == 0) pinned_bytes_ += pinned.item.charged_bytes;
}

void LruIndex::unpin(const ChunkId& id) {
    Node& pinned = node(id);
    KOLLATOR_CHECK(pinned.pins > 0);
    if (--pinned.pins == 0) pinned_bytes_ -= pinned.item.charged_bytes;
}

IndexItem LruIndex::remove(const ChunkId& id) {
    Node& gone = node(id);
    const IndexItem item = gone.item;
    item_bytes_ -= item.charged_bytes;
    if (gone.pins > 0) pinned_bytes_ -= item.charged_bytes;
    order_.erase(gone.position);
    items_.erase(id);
    return item;
}

IndexItem LruIndex::detach(const ChunkId& id) {
    const IndexItem item = remove(id);
    hold(item.charged_bytes);
    return item;
}

std::vector<IndexItem> LruIndex::take_oldest(const std::function<bool(const IndexItem&)>& wanted) {
    std::vector<IndexItem> taken;
    for (auto at = order_.begin(); at != order_.end();) {
        const Node& oldest = **at++;
        if (oldest.pins > 0) continue;
        if (!wanted(oldest.item)) break;
        const ChunkId id = oldest.item.id;  // a copy: remove() destroys the original
        taken.push_back(remove(id));
    }
    return taken;
}

std::vector<IndexItem> LruIndex::evict(std::uint64_t bytes) {
    const std::uint64_t before = item_bytes_;
    return take_oldest([&](const IndexItem&) { return before - item_bytes_ < bytes; });
}

std::vector<IndexItem> LruIndex::expire(std::int64_t before_ns) {
    return take_oldest([&](const IndexItem& item) { return item.last_used_ns < before_ns; });
}

std::vector<IndexItem> LruIndex::clear() {
    return take_oldest([](const IndexItem&) { return true; });
}

std::vector<IndexItem> LruIndex::list(const ChunkId& after, std::size_t limit) const {
    std::vector<IndexItem> listed;
    for (auto at = items_.upper_bound(after); at != items_.end() && listed.size() < limit; ++at) {
        listed.push_back(at->second.item);
    }
    return listed;
}

void LruIndex::for_each(const std::function<void(const IndexItem&)>& each) const {
    for (const Node* one : order_) each(one->item);
}

// A wall clock that steps back must not make a newer use look older: the order is kept by these
// times across a restart.
std::int64_t LruIndex::in_order(std::int64_t now_ns) {
    newest_ns_ = std::max(newest_ns_, now_ns);
    return newest_ns_;
}

}  // namespace kollator::cache
