#include "dht/query_queue.h"

#include <algorithm>
#include <utility>

#include "base/siphash.h"

namespace kollator::dht {
namespace {

using std::chrono::microseconds;

/// Packets that may go at once after a pause, as a share of a second: enough for a loop that comes
/// by every few milliseconds.
constexpr double kBurstSeconds = 0.05;
/// How far interactive queries may overdraw, in seconds of the rate.
constexpr double kOverdraftSeconds = 0.2;
constexpr double kMinBurst = 8;

std::size_t index_of(Priority priority) {
    return static_cast<std::size_t>(priority);
}

}  // namespace

QueryQueue::QueryQueue(Wire& wire, QueryLimits limits)
    : wire_(wire), limits_(limits), next_free_us_(kAddressSlots, 0) {}

/// GCRA: a burst of one second's messages, then evenly. Gives when this one may go.
TimePoint QueryQueue::reserve(TimePoint now, const Endpoint& to) {
    if (epoch_ == TimePoint{}) epoch_ = now;
    std::array<std::uint8_t, 18> key{};
    std::copy(to.address.begin(), to.address.end(), key.begin());
    if (limits_.count_ports) store_u16(key.data() + 16, to.port);
    std::int64_t& free_us = next_free_us_[siphash(key) % kAddressSlots];

    const std::int64_t now_us = std::chrono::duration_cast<microseconds>(now - epoch_).count();
    const std::int64_t interval_us = 1'000'000 / limits_.address_per_second;
    const std::int64_t burst_us = 1'000'000 - interval_us;
    const std::int64_t at_us = std::max(now_us, free_us - burst_us);
    // Not reserved where it will not be sent.
    if (at_us - now_us < std::chrono::duration_cast<microseconds>(limits_.timeout).count()) {
        free_us = std::max(now_us, free_us) + interval_us;
    }
    return epoch_ + microseconds(at_us);
}

TimePoint QueryQueue::send(TimePoint now, const Endpoint& to, Query query, Priority priority,
                           OnReply on_reply) {
    const TimePoint when = reserve(now, to);
    if (stats_.queued >= limits_.max_queued || when - now >= limits_.timeout) {
        dropped_.push_back(std::move(on_reply));
        return now;
    }
    std::size_t before = 0;
    for (std::size_t i = 0; i <= index_of(priority); ++i) before += ready_[i].size();
    const double wait_s = static_cast<double>(before) / limits_.packets_per_second;
    ++stats_.queued;
    Waiting waiting{to, std::move(query), std::move(on_reply), priority};
    if (when > now) {
        delayed_.emplace(when, std::move(waiting));
    } else {
        ready_[index_of(priority)].push_back(std::move(waiting));
    }
    const auto wait =
        std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(wait_s));
    return std::max(when, now + wait);
}

void QueryQueue::refill(TimePoint now) {
    const double burst = std::max(kMinBurst, kBurstSeconds * limits_.packets_per_second);
    if (credit_at_ == TimePoint{}) {
        credit_ = burst;
    } else {
        const double seconds = std::chrono::duration<double>(now - credit_at_).count();
        credit_ = std::min(burst, credit_ + seconds * limits_.packets_per_second);
    }
    credit_at_ = now;
}

bool QueryQueue::may_send(Priority priority) const {
    if (in_flight_.size() >= limits_.max_in_flight) return false;
    if (priority != Priority::kInteractive) return credit_ >= 1;
    return credit_ >= -std::max(kMinBurst, kOverdraftSeconds * limits_.packets_per_second);
}

void QueryQueue::transmit(TimePoint now, Waiting waiting) {
    const std::uint64_t ticket = next_ticket_++;
    credit_ -= 1;
    --stats_.queued;
    ++stats_.sent;
    in_flight_.emplace(ticket, Flight{std::move(waiting.on_reply)});
    deadlines_.emplace_back(now + limits_.timeout, ticket);
    wire_.send(waiting.to, waiting.query, ticket);
}

void QueryQueue::on_reply(TimePoint now, std::uint64_t ticket, Result<Reply> reply) {
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) return;
    const OnReply on_reply = std::move(found->second.on_reply);
    in_flight_.erase(found);
    if (reply) {
        ++stats_.answered;
    } else {
        ++stats_.refused;
    }
    on_reply(now, std::move(reply));
}

void QueryQueue::advance(TimePoint now) {
    while (!deadlines_.empty() && deadlines_.front().first <= now) {
        const auto found = in_flight_.find(deadlines_.front().second);
        deadlines_.pop_front();
        if (found == in_flight_.end()) continue;
        const OnReply on_reply = std::move(found->second.on_reply);
        in_flight_.erase(found);
        ++stats_.timeouts;
        on_reply(now, make_error(ErrorCode::kTimeout, "no answer"));
    }
    while (!dropped_.empty()) {
        const OnReply on_reply = std::move(dropped_.front());
        dropped_.pop_front();
        ++stats_.dropped;
        on_reply(now, make_error(ErrorCode::kLimit, "too many queries wait"));
    }
    while (!delayed_.empty() && delayed_.begin()->first <= now) {
        auto node = delayed_.extract(delayed_.begin());
        ready_[index_of(node.mapped().priority)].push_back(std::move(node.mapped()));
    }
    refill(now);
    for (std::size_t i = 0; i < kPriorities; ++i) {
        auto& line = ready_[i];
        while (!line.empty() && may_send(static_cast<Priority>(i))) {
            Waiting waiting = std::move(line.front());
            line.pop_front();
            transmit(now, std::move(waiting));
        }
    }
}

TimePoint QueryQueue::next_due(TimePoint now) const {
    TimePoint due = TimePoint::max();
    if (!dropped_.empty()) return now;
    if (!deadlines_.empty()) due = std::min(due, deadlines_.front().first);
    if (!delayed_.empty()) due = std::min(due, delayed_.begin()->first);
    for (std::size_t i = 0; i < kPriorities; ++i) {
        if (ready_[i].empty() || in_flight_.size() >= limits_.max_in_flight) continue;
        if (may_send(static_cast<Priority>(i))) return now;
        const double missing = (1 - credit_) / limits_.packets_per_second;
        due = std::min(due, now + std::chrono::duration_cast<TimePoint::duration>(
                                      std::chrono::duration<double>(missing)));
    }
    return due;
}

bool QueryQueue::has_room() const {
    std::size_t ready = 0;
    for (const auto& line : ready_) ready += line.size();
    const auto few =
        static_cast<std::size_t>(std::max(kMinBurst, kBurstSeconds * limits_.packets_per_second));
    return ready < few && stats_.queued < limits_.max_queued / 4 &&
           in_flight_.size() < limits_.max_in_flight / 2;
}

QueryStats QueryQueue::stats() const {
    QueryStats stats = stats_;
    stats.in_flight = in_flight_.size();
    return stats;
}

}  // namespace kollator::dht
