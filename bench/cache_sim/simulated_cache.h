#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/cache_sim/trace.h"
#include "cache/policy/eviction_policy.h"

namespace kollator::bench {

/// A policy and an index as small as it gets: which chunks would be cached.
class SimulatedCache {
 public:
    SimulatedCache(cache::PolicyKind kind, std::uint64_t max_bytes)
        : policy_(cache::make_policy(kind, max_bytes,
                                     [this](cache::PolicyKey key) {
                                         const auto found = slots_.find(key);
                                         return found == slots_.end() ? cache::kNoSlot
                                                                      : found->second;
                                     })),
          max_bytes_(max_bytes) {}

    SimulatedCache(std::unique_ptr<cache::EvictionPolicy> policy, std::uint64_t max_bytes)
        : policy_(std::move(policy)), max_bytes_(max_bytes) {}

    void learn(const Trace& trace) {
        for (std::size_t file = 0; file < trace.files.size(); ++file) {
            policy_->learn_file(file, trace.files[file]);
        }
    }

    bool request(const Request& request) {
        policy_->requested(request.key, request.at);
        if (request.reader != kNobody) {
            policy_->reader_at(request.reader, request.key, request.at);
            if (request.last) policy_->reader_left(request.reader);
        }
        const auto found = slots_.find(request.key);
        if (found != slots_.end()) {
            policy_->hit(found->second);
            return true;
        }
        take_in(request);
        return false;
    }

    bool contains(cache::PolicyKey key) const { return slots_.contains(key); }
    std::uint64_t written() const { return written_; }

 private:
    struct Entry {
        cache::PolicyKey key = 0;
        std::uint64_t bytes = 0;
    };

    void take_in(const Request& request) {
        if (request.bytes > max_bytes_) return;
        while (used_bytes_ + request.bytes > max_bytes_) {
            const cache::Slot victim =
                policy_->victim([](cache::Slot) { return true; }, request.at);
            if (!policy_->admits(request.key, victim, request.at)) return;
            drop(victim);
        }
        cache::Slot slot = static_cast<cache::Slot>(entries_.size());
        if (free_.empty()) {
            entries_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        entries_[slot] = {request.key, request.bytes};
        slots_.emplace(request.key, slot);
        used_bytes_ += request.bytes;
        ++written_;
        policy_->insert(slot, request.key, request.bytes);
    }

    void drop(cache::Slot slot) {
        policy_->remove(slot);
        slots_.erase(entries_[slot].key);
        used_bytes_ -= entries_[slot].bytes;
        free_.push_back(slot);
    }

    const std::unique_ptr<cache::EvictionPolicy> policy_;
    const std::uint64_t max_bytes_;
    std::unordered_map<cache::PolicyKey, cache::Slot> slots_;
    std::vector<Entry> entries_;
    std::vector<cache::Slot> free_;
    std::uint64_t used_bytes_ = 0;
    std::uint64_t written_ = 0;
};

}  // namespace kollator::bench
