#include "dht/node_health.h"

#include <algorithm>
#include <cmath>

namespace kollator::dht {
namespace {

/// Enough for an estimate within 20 %: each alone is off by a factor of 2.
constexpr std::size_t kSizeSamples = 24;
constexpr std::size_t kRttSamples = 128;

/// 0 to 1 of the key space.
double share_of(const Distance& distance) {
    double share = 0;
    double weight = 1.0 / 256;
    for (std::size_t i = 0; i < 8; ++i, weight /= 256) share += distance[i] * weight;
    return share;
}

Duration at_rank(const std::deque<Duration>& samples, double rank) {
    std::vector<Duration> sorted(samples.begin(), samples.end());
    const auto index = static_cast<std::size_t>(rank * static_cast<double>(sorted.size() - 1));
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                     sorted.end());
    return sorted[index];
}

}  // namespace

NodeHealth::NodeHealth(TimePoint now, QueryQueue& queue, NodeHealthOptions options)
    : queue_(queue), options_(options), next_ping_(now), heard_(now), lost_since_(now) {}

void NodeHealth::set_contacts(const std::vector<Contact>& contacts) {
    contacts_ = contacts;
    if (contacts_.size() > options_.max_contacts) contacts_.resize(options_.max_contacts);
    std::map<Endpoint, Seen> seen;
    for (const Contact& contact : contacts_) {
        const auto known = seen_.find(contact.at);
        seen[contact.at] = known == seen_.end() ? Seen::kUnknown : known->second;
    }
    seen_ = std::move(seen);
}

std::vector<Contact> NodeHealth::nearest(const InfoHash& key, bool v6) const {
    std::vector<std::pair<Distance, const Contact*>> sorted;
    for (const Contact& contact : contacts_) {
        if (contact.at.v6 == v6) sorted.emplace_back(distance_of(key, contact.id), &contact);
    }
    const std::size_t count = std::min(sorted.size(), kClosest);
    std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count),
                      sorted.end());
    std::vector<Contact> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(*sorted[i].second);
    return out;
}

/// Of n nodes spread evenly the eighth nearest is 8/(n+1) of the key space away on average, and the
/// mean of 7/d8 is n.
void NodeHealth::on_lookup(const InfoHash& target, const LookupOutcome& outcome) {
    if (outcome.closest.size() < kClosest) return;
    const double share = share_of(distance_of(target, outcome.closest.back().contact.id));
    if (share <= 0) return;
    sizes_.push_back((kClosest - 1) / share);
    if (sizes_.size() > kSizeSamples) sizes_.pop_front();
}

void NodeHealth::note_answers(TimePoint now) {
    const QueryStats stats = queue_.stats();
    // An error is an answer too, but libtorrent shows its own timeouts so.
    if (stats.answered == answers_) return;
    answers_ = stats.answered;
    heard_ = now;
}

void NodeHealth::advance(TimePoint now) {
    note_answers(now);
    if (now < next_ping_) return;
    next_ping_ = now + options_.ping_interval;
    const std::size_t count = std::min(contacts_.size(), options_.pings_at_once);
    for (std::size_t i = 0; i < count; ++i) {
        const Endpoint to = contacts_[next_contact_++ % contacts_.size()].at;
        queue_.send(now, to, {}, Priority::kUrgent,
                    [this, alive = std::weak_ptr<int>(alive_), now, to](
                        TimePoint then, const Result<Reply>& reply) {
                        if (alive.expired()) return;
                        const bool sent = reply.ok() || reply.error().code != ErrorCode::kLimit;
                        if (sent) on_pong(then, now, to, reply.ok());
                    });
    }
}

void NodeHealth::on_pong(TimePoint now, TimePoint asked, const Endpoint& from, bool answered) {
    const auto known = seen_.find(from);
    if (known != seen_.end()) known->second = answered ? Seen::kGood : Seen::kStale;
    if (!answered) return;
    heard_ = now;
    rtts_.push_back(now - asked);
    if (rtts_.size() > kRttSamples) rtts_.pop_front();
}

NodeHealthReport NodeHealth::report(TimePoint now) const {
    NodeHealthReport report;
    report.contacts = contacts_.size();
    for (const auto& [at, seen] : seen_) {
        if (seen == Seen::kGood) ++report.good;
        if (seen == Seen::kStale) ++report.stale;
    }
    for (const double size : sizes_) report.network_size += size;
    if (!sizes_.empty()) report.network_size /= static_cast<double>(sizes_.size());
    if (!rtts_.empty()) {
        report.rtt_median = at_rank(rtts_, 0.5);
        report.rtt_p99 = at_rank(rtts_, 0.99);
    }
    report.silence = now - heard_;
    report.lost = report.silence >= options_.lost_after;
    return report;
}

bool NodeHealth::take_lost(TimePoint now) {
    const Duration patience = contacts_.empty() ? std::min(options_.join_after, options_.lost_after)
                                                : options_.lost_after;
    if (now - std::max(heard_, lost_since_) < patience) return false;
    lost_since_ = now;
    return true;
}

}  // namespace kollator::dht
