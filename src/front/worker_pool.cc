#include "front/worker_pool.h"

#include <algorithm>

namespace kollator::front {

Status WorkerPool::add(const signaling::RegisterWorker& worker, TimePoint now, WallTime wall) {
    if (!workers_.contains(worker.id) && workers_.size() >= kMaxWorkers) {
        return make_error(ErrorCode::kLimit, "this front has all the workers it can keep");
    }
    workers_[worker.id] = {worker.id, worker.url, worker.capacity, {}, now, wall};
    ring_.add(worker.id);
    return {};
}

void WorkerPool::remove(const std::string& id) {
    if (workers_.erase(id) > 0) ring_.remove(id);
}

void WorkerPool::heard(const std::string& id, const signaling::WorkerStatus& status, TimePoint now,
                       WallTime wall) {
    const auto found = workers_.find(id);
    if (found == workers_.end()) return;
    found->second.status = status;
    found->second.heard_at = now;
    found->second.seen_at = wall;
}

std::vector<PooledWorker> WorkerPool::living(TimePoint now) const {
    std::vector<PooledWorker> list;
    for (const auto& [id, worker] : workers_) {
        if (is_living(worker, now)) list.push_back(worker);
    }
    return list;
}

std::vector<PooledWorker> WorkerPool::choose(std::string_view client_address,
                                             std::size_t alternatives, TimePoint now) const {
    const auto is_open = [&](const std::string& id) {
        const PooledWorker& worker = workers_.at(id);
        return is_living(worker, now) && !worker.status.draining;
    };
    const auto has_room = [&](const std::string& id) {
        const PooledWorker& worker = workers_.at(id);
        return is_open(id) && worker.status.connections < worker.capacity;
    };
    std::vector<std::string> ids = ring_.nodes_for(client_address, alternatives + 1, has_room);
    if (ids.size() <= alternatives) {
        const auto is_full = [&](const std::string& id) { return is_open(id) && !has_room(id); };
        const auto full = ring_.nodes_for(client_address, alternatives + 1 - ids.size(), is_full);
        ids.insert(ids.end(), full.begin(), full.end());
    }
    std::vector<PooledWorker> chosen;
    for (const std::string& id : ids) chosen.push_back(workers_.at(id));
    return chosen;
}

}  // namespace kollator::front
