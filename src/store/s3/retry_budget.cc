#include "store/s3/retry_budget.h"

#include <algorithm>

namespace kollator::store::s3 {
namespace {

std::int64_t second_of(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

RetryBudget::Slot& RetryBudget::slot_at(std::int64_t second) {
    Slot& slot = slots_[static_cast<std::size_t>(second) % slots_.size()];
    if (slot.second != second) slot = Slot{second, 0, 0};
    return slot;
}

void RetryBudget::note_request(TimePoint now) {
    ++slot_at(second_of(now)).requests;
}

bool RetryBudget::try_take(TimePoint now) {
    const std::int64_t second = second_of(now);
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
    for (const Slot& slot : slots_) {
        if (slot.second < 0 || slot.second > second) continue;
        if (slot.second > second - kMinute) requests += slot.requests;
        if (slot.second >= second - kMinute) retries += slot.retries;
    }
    const std::uint64_t allowed =
        std::max<std::uint64_t>(options_.floor, requests * options_.percent / 100);
    if (retries >= allowed) return false;
    ++slot_at(second).retries;
    return true;
}

}  // namespace kollator::store::s3
