#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

#include "base/ids.h"
#include "base/time.h"

namespace kollator::chunk {

/// Which chunks clients were told to be resident of late, so that it can be counted what came of
/// it. It does not know whom it told: a request of another client may stand for one that was told.
/// Pure; bounded: what is over the bound is not counted.
class HintLedger {
 public:
    struct Limits {
        std::size_t max_names = 10'000;  ///< about 100 bytes each
        Duration memory = std::chrono::minutes(1);
    };

    explicit HintLedger(Limits limits) : limits_(limits) {}

    void told(const ChunkId& id, TimePoint now) {
        drop_old(now);
        if (order_.size() >= limits_.max_names) return;
        ++open_[id];
        order_.emplace_back(id,
                            now + std::chrono::duration_cast<TimePoint::duration>(limits_.memory));
    }

    /// A request came. Whether somebody who was told may have sent it; each word counts once.
    bool take(const ChunkId& id, TimePoint now) {
        drop_old(now);
        const auto found = open_.find(id);
        if (found == open_.end()) return false;
        if (--found->second == 0) open_.erase(found);
        return true;
    }

 private:
    void drop_old(TimePoint now) {
        while (!order_.empty() && order_.front().second <= now) {
            const auto found = open_.find(order_.front().first);
            if (found != open_.end() && --found->second == 0) open_.erase(found);
            order_.pop_front();
        }
    }

    const Limits limits_;
    std::unordered_map<ChunkId, std::uint32_t, KeyedHash> open_;  // words that nobody followed yet
    std::deque<std::pair<ChunkId, TimePoint>> order_;             // until when
};

}  // namespace kollator::chunk
