#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "front/hash_ring.h"
#include "signaling/message.h"

namespace kollator::front {

/// Registrations at once: a bound for what the ring and a list of all cost.
inline constexpr std::size_t kMaxWorkers = 1024;

struct PooledWorker {
    std::string id;
    std::string url;
    std::uint64_t capacity = 0;
    signaling::WorkerStatus status;
    TimePoint heard_at{};
    WallTime seen_at{};
};

/// The workers that are connected to this front, and which of them a client is sent to. The time is
/// an input: a worker that has been silent for longer than `silence_limit` is passed over until it
/// is heard again.
class WorkerPool {
 public:
    explicit WorkerPool(Duration silence_limit) : silence_limit_(silence_limit) {}

    /// Adds a worker, or replaces the one of that id. kLimit: kMaxWorkers are there.
    Status add(const signaling::RegisterWorker& worker, TimePoint now, WallTime wall);
    void remove(const std::string& id);
    void heard(const std::string& id, const signaling::WorkerStatus& status, TimePoint now,
               WallTime wall);

    /// The living, by id; the draining among them.
    std::vector<PooledWorker> living(TimePoint now) const;

    /// The worker of a client's address, then up to `alternatives` others. The dead and the
    /// draining are left out; the full come last.
    std::vector<PooledWorker> choose(std::string_view client_address, std::size_t alternatives,
                                     TimePoint now) const;

    std::size_t size() const { return workers_.size(); }

 private:
    bool is_living(const PooledWorker& worker, TimePoint now) const {
        return now - worker.heard_at <= silence_limit_;
    }

    const Duration silence_limit_;
    // An ordered map: ids are chosen by whoever has the shared key, and lists come out sorted.
    std::map<std::string, PooledWorker> workers_;
    HashRing ring_;
};

}  // namespace kollator::front
