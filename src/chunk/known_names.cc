#include "chunk/known_names.h"

namespace kollator::chunk {

void KnownStored::note(const store::ObjectKey& key, std::uint64_t size_bytes) {
    if (max_count_ == 0) return;
    if (const auto known = entries_.find(key); known != entries_.end()) {
        known->second->size_bytes = size_bytes;
        known->second->seen = clock_.now();
        order_.splice(order_.begin(), order_, known->second);
        return;
    }
    if (entries_.size() >= max_count_) {
        entries_.erase(order_.back().key);
        order_.pop_back();
    }
    order_.push_front({key, size_bytes, clock_.now()});
    entries_.emplace(key, order_.begin());
}

void KnownStored::forget(const store::ObjectKey& key) {
    const auto known = entries_.find(key);
    if (known == entries_.end()) return;
    order_.erase(known->second);
    entries_.erase(known);
}

std::optional<std::uint64_t> KnownStored::find(const store::ObjectKey& key, Duration max_age) {
    const auto known = entries_.find(key);
    if (known == entries_.end()) return std::nullopt;
    if (clock_.now() - known->second->seen >= max_age) return std::nullopt;
    order_.splice(order_.begin(), order_, known->second);
    return known->second->size_bytes;
}

void KnownMissing::note(const store::ObjectKey& key, TimePoint now) {
    if (max_count_ == 0) return;
    drop_old(now);
    const TimePoint until = now + std::chrono::duration_cast<TimePoint::duration>(ttl_);
    entries_[key] = until;
    order_.emplace_back(key, until);
}

bool KnownMissing::contains(const store::ObjectKey& key, TimePoint now) const {
    const auto known = entries_.find(key);
    return known != entries_.end() && now < known->second;
}

void KnownMissing::drop_old(TimePoint now) {
    while (!order_.empty() && (order_.front().second <= now || order_.size() >= max_count_)) {
        const auto known = entries_.find(order_.front().first);
        // Noted anew since: then a later place in the order stands for it.
        if (known != entries_.end() && known->second == order_.front().second) {
            entries_.erase(known);
        }
        order_.pop_front();
    }
}

}  // namespace kollator::chunk
