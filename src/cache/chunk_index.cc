#include "cache/chunk_index.h"

#include <algorithm>

#include "base/check.h"
#include "base/siphash.h"

namespace kollator::cache {
namespace {

PolicyKey key_of(const ChunkId& id) {
    return siphash(id.bytes());
}

}  // namespace

ChunkIndex::ChunkIndex(std::uint64_t max_bytes, PolicyKind policy)
    : max_bytes_(max_bytes), policy_(make_policy(policy, max_bytes, [this](PolicyKey key) {
          const auto found = keys_.find(key);
          return found == keys_.end() ? kNoSlot : found->second;
      })) {}

const IndexItem* ChunkIndex::find(const ChunkId& id) const {
    const auto found = items_.find(id);
    return found == items_.end() ? nullptr : &found->second.item;
}

ChunkIndex::Node& ChunkIndex::node(const ChunkId& id) {
    const auto found = items_.find(id);
    KOLLATOR_CHECK(found != items_.end());
    return found->second;
}

void ChunkIndex::requested(const ChunkId& id, TimePoint now) {
    now_ = now;
    policy_->requested(key_of(id), now);
}

void ChunkIndex::learn_file(const std::vector<ChunkId>& chunks) {
    std::vector<PolicyKey> keys;
    keys.reserve(chunks.size());
    for (const ChunkId& id : chunks) keys.push_back(key_of(id));
    // A file is its chunks: whoever names it otherwise means the same.
    if (!keys.empty()) policy_->learn_file(keys.front() ^ keys.size(), keys);
}

void ChunkIndex::reader_at(ReaderId reader, const ChunkId& id, TimePoint now) {
    now_ = now;
    policy_->reader_at(reader, key_of(id), now);
}

Slot ChunkIndex::victim() {
    return policy_->victim([this](Slot slot) { return slots_[slot]->pins == 0; }, now_);
}

Reservation ChunkIndex::reserve(std::uint64_t bytes, const std::optional<Newcomer>& newcomer,
                                std::vector<IndexItem>& evicted) {
    const std::uint64_t fixed = reserved_bytes_ + pinned_bytes_;
    if (bytes > max_bytes_ || fixed > max_bytes_ - bytes) return Reservation::kNoRoom;
    const std::uint64_t room = max_bytes_ - bytes;
    bool worth_it = !newcomer;
    while (used_bytes() > room) {
        const Slot slot = victim();
        KOLLATOR_CHECK(slot != kNoSlot);
        // It is asked once: to take one in, two smaller ones may have to go.
        if (!worth_it && !policy_->admits(key_of(newcomer->id), slot, newcomer->now)) {
            return Reservation::kNotWorth;
        }
        worth_it = true;
        const ChunkId id = slots_[slot]->item.id;
        evicted.push_back(remove(id));
    }
    reserved_bytes_ += bytes;
    return Reservation::kHeld;
}

void ChunkIndex::release(std::uint64_t bytes) {
    KOLLATOR_CHECK(bytes <= reserved_bytes_);
    reserved_bytes_ -= bytes;
}

void ChunkIndex::commit(IndexItem item) {
    release(item.charged_bytes);
    item.last_used_ns = in_order(item.last_used_ns);
    item_bytes_ += item.charged_bytes;
    const auto [place, inserted] = items_.try_emplace(item.id);
    KOLLATOR_CHECK(inserted);
    place->second.item = item;
    place->second.position = order_.insert(order_.end(), &place->second);
    const Slot slot = take_slot(place->second);
    const PolicyKey key = key_of(item.id);
    keys_[key] = slot;
    policy_->insert(slot, key, item.charged_bytes);
}

Slot ChunkIndex::take_slot(Node& node) {
    if (free_slots_.empty()) {
        node.slot = static_cast<Slot>(slots_.size());
        slots_.push_back(&node);
    } else {
        node.slot = free_slots_.back();
        free_slots_.pop_back();
        slots_[node.slot] = &node;
    }
    return node.slot;
}

void ChunkIndex::touch(const ChunkId& id, std::int64_t now_ns) {
    Node& used = node(id);
    ++used.item.hits;
    used.item.last_used_ns = in_order(now_ns);
    order_.splice(order_.end(), order_, used.position);
    policy_->hit(used.slot);
}

void ChunkIndex::pin(const ChunkId& id) {
    Node& pinned = node(id);
    if (pinned.pins++ == 0) pinned_bytes_ += pinned.item.charged_bytes;
}

void ChunkIndex::unpin(const ChunkId& id) {
    Node& pinned = node(id);
    KOLLATOR_CHECK(pinned.pins > 0);
    if (--pinned.pins == 0) pinned_bytes_ -= pinned.item.charged_bytes;
}

IndexItem ChunkIndex::remove(const ChunkId& id) {
    Node& gone = node(id);
    const IndexItem item = gone.item;
    item_bytes_ -= item.charged_bytes;
    if (gone.pins > 0) pinned_bytes_ -= item.charged_bytes;
    policy_->remove(gone.slot);
    slots_[gone.slot] = nullptr;
    free_slots_.push_back(gone.slot);
    keys_.erase(key_of(id));
    order_.erase(gone.position);
    items_.erase(id);
    return item;
}

IndexItem ChunkIndex::detach(const ChunkId& id) {
    const IndexItem item = remove(id);
    hold(item.charged_bytes);
    return item;
}

std::vector<IndexItem> ChunkIndex::take_oldest(
    const std::function<bool(const IndexItem&)>& wanted) {
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

std::vector<IndexItem> ChunkIndex::evict(std::uint64_t bytes) {
    const std::uint64_t before = item_bytes_;
    std::vector<IndexItem> taken;
    while (before - item_bytes_ < bytes) {
        const Slot slot = victim();
        if (slot == kNoSlot) break;
        const ChunkId id = slots_[slot]->item.id;
        taken.push_back(remove(id));
    }
    return taken;
}

std::vector<IndexItem> ChunkIndex::expire(std::int64_t before_ns) {
    return take_oldest([&](const IndexItem& item) { return item.last_used_ns < before_ns; });
}

std::vector<IndexItem> ChunkIndex::clear() {
    return take_oldest([](const IndexItem&) { return true; });
}

std::vector<IndexItem> ChunkIndex::list(const ChunkId& after, std::size_t limit) const {
    std::vector<IndexItem> listed;
    for (auto at = items_.upper_bound(after); at != items_.end() && listed.size() < limit; ++at) {
        listed.push_back(at->second.item);
    }
    return listed;
}

void ChunkIndex::for_each(const std::function<void(const IndexItem&)>& each) const {
    for (const Node* one : order_) each(one->item);
}

// A wall clock that steps back must not make a newer use look older: the order is kept by these
// times across a restart.
std::int64_t ChunkIndex::in_order(std::int64_t now_ns) {
    newest_ns_ = std::max(newest_ns_, now_ns);
    return newest_ns_;
}

}  // namespace kollator::cache
