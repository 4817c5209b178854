#include "dht/lookup.h"

#include <algorithm>
#include <utility>

namespace kollator::dht {

Lookup::Lookup(QueryQueue& queue, const InfoHash& target, bool v6, LookupOptions options,
               OnPeers on_peers, OnDone on_done)
    : queue_(queue),
      target_(target),
      v6_(v6),
      options_(std::move(options)),
      on_peers_(std::move(on_peers)),
      on_done_(std::move(on_done)),
      alive_(std::make_shared<Lookup*>(this)) {}

Lookup::~Lookup() {
    *alive_ = nullptr;
}

void Lookup::start(TimePoint now, const std::vector<Contact>& seeds) {
    for (const Contact& seed : seeds) add(seed);
    advance(now);
}

void Lookup::start_at(TimePoint now, const std::vector<Endpoint>& remembered) {
    for (const Endpoint& at : remembered) {
        if (at.v6 != v6_) continue;
        Candidate candidate;
        candidate.contact.at = at;
        candidate.id_known = false;
        candidates_.push_back(std::move(candidate));
    }
    for (Candidate& candidate : candidates_) ask(now, candidate);
    if (candidates_.empty()) finish(now);
}

/// Keeps the order; drops the farthest past the bound.
void Lookup::place(Candidate candidate) {
    const auto at = std::upper_bound(
        candidates_.begin(), candidates_.end(), candidate,
        [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
    candidates_.insert(at, std::move(candidate));
    if (candidates_.size() <= options_.max_candidates) return;
    const auto farthest_new =
        std::find_if(candidates_.rbegin(), candidates_.rend(),
                     [](const Candidate& each) { return each.state == State::kNew; });
    if (farthest_new != candidates_.rend()) candidates_.erase(std::next(farthest_new).base());
}

void Lookup::add(const Contact& contact) {
    if (contact.at.v6 != v6_) return;
    // By address: ids are for free to a hostile node, and one node is asked once.
    for (const Candidate& candidate : candidates_) {
        if (candidate.contact.at == contact.at) return;
    }
    if (options_.skip && options_.skip(contact.at)) return;
    Candidate candidate;
    candidate.contact = contact;
    candidate.distance = distance_of(target_, contact.id);
    place(std::move(candidate));
}

void Lookup::ask(TimePoint now, Candidate& candidate) {
    candidate.state = State::kAsked;
    ++queries_;
    candidate.asked_at = queue_.send(
        now, candidate.contact.at, {QueryKind::kGetPeers, target_}, options_.priority,
        [alive = alive_, at = candidate.contact.at](TimePoint then, Result<Reply> reply) {
            if (*alive != nullptr) (*alive)->on_reply(then, at, std::move(reply));
        });
}

/// Asks the nearest of the kClosest nearest that may live; further ones only as these fail.
void Lookup::ask_next(TimePoint now) {
    std::size_t under_way = 0;
    for (const Candidate& candidate : candidates_) {
        if (candidate.state == State::kAsked) ++under_way;
    }
    std::size_t nearer = 0;
    for (Candidate& candidate : candidates_) {
        if (under_way >= options_.parallel || queries_ >= options_.max_queries) return;
        if (nearer >= kClosest) return;
        if (candidate.state == State::kNew) {
            ask(now, candidate);
            ++under_way;
        }
        const bool hopeless = candidate.state == State::kFailed ||
                              candidate.state == State::kGivenUp ||
                              candidate.state == State::kStalled;
        if (!hopeless) ++nearer;
    }
}

bool Lookup::finished() const {
    std::size_t answered = 0;
    for (const Candidate& candidate : candidates_) {
        switch (candidate.state) {
            case State::kAnswered:
                if (++answered == kClosest) return true;
                break;
            case State::kNew:
                if (queries_ < options_.max_queries) return false;
                break;
            case State::kAsked:
            case State::kStalled:
                return false;
            case State::kGivenUp:
            case State::kFailed:
                break;
        }
    }
    return true;
}

void Lookup::advance(TimePoint now) {
    if (done_) return;
    for (Candidate& candidate : candidates_) {
        if (candidate.state == State::kAsked && now - candidate.asked_at >= options_.stall) {
            candidate.state = State::kStalled;
        }
        if (candidate.state == State::kStalled && now - candidate.asked_at >= options_.patience) {
            candidate.state = State::kGivenUp;
        }
    }
    ask_next(now);
    if (!finished() || widening_) return;
    if (!widen(now)) finish(now);
}

/// Asks the farthest that answered for the nodes on the other side of the bit in which it differs
/// from the key first, and then of the bits above: there are those next in distance. False where
/// that is not wanted, or no use.
bool Lookup::widen(TimePoint now) {
    const Candidate* farthest = nullptr;
    std::size_t answered = 0;
    for (const Candidate& candidate : candidates_) {
        if (candidate.state != State::kAnswered) continue;
        farthest = &candidate;
        ++answered;
    }
    if (farthest == nullptr || answered >= kClosest || widenings_ >= options_.max_widenings ||
        queries_ >= options_.max_queries) {
        return false;
    }
    std::size_t bit = 0;
    while (bit < 8 * NodeId::kSize && (farthest->distance[bit / 8] >> (7 - bit % 8)) % 2 == 0) {
        ++bit;
    }
    if (bit < widenings_ || bit == 8 * NodeId::kSize) return false;
    bit -= widenings_++;
    auto target = target_.bytes();
    target[bit / 8] = static_cast<std::uint8_t>(target[bit / 8] ^ (0x80U >> (bit % 8)));
    ++queries_;
    widening_ = true;
    queue_.send(now, farthest->contact.at, {QueryKind::kFindNode, InfoHash(target)},
                options_.priority, [alive = alive_](TimePoint then, const Result<Reply>& reply) {
                    if (*alive == nullptr || (*alive)->done_) return;
                    (*alive)->widening_ = false;
                    if (reply) {
                        for (const Contact& contact : reply->nodes) (*alive)->add(contact);
                    }
                    (*alive)->advance(then);
                });
    return true;
}

TimePoint Lookup::next_due() const {
    TimePoint due = TimePoint::max();
    if (done_) return due;
    for (const Candidate& candidate : candidates_) {
        if (candidate.state == State::kAsked) {
            due = std::min(due, candidate.asked_at + options_.stall);
        } else if (candidate.state == State::kStalled) {
            due = std::min(due, candidate.asked_at + options_.patience);
        }
    }
    return due;
}

void Lookup::on_reply(TimePoint now, const Endpoint& from, Result<Reply> reply) {
    if (done_) return;
    const auto found =
        std::find_if(candidates_.begin(), candidates_.end(),
                     [&](const Candidate& candidate) { return candidate.contact.at == from; });
    if (found == candidates_.end()) return;
    if (!reply) {
        found->state = State::kFailed;
        return advance(now);
    }
    ++answers_;
    Candidate answered = std::move(*found);
    candidates_.erase(found);
    // Its own word for who it is: what was said of it may be old.
    answered.contact.id = reply->id;
    answered.id_known = true;
    answered.distance = distance_of(target_, reply->id);
    answered.state = State::kAnswered;
    answered.token = std::move(reply->token);
    place(std::move(answered));
    for (const Contact& contact : reply->nodes) add(contact);
    const std::shared_ptr<Lookup*> alive = alive_;
    take_peers(now, reply->peers);
    if (*alive != nullptr) advance(now);
}

void Lookup::take_peers(TimePoint now, const std::vector<Endpoint>& peers) {
    std::vector<Endpoint> fresh;
    for (const Endpoint& peer : peers) {
        if (peers_.size() >= options_.max_peers) break;
        if (std::find(peers_.begin(), peers_.end(), peer) != peers_.end()) continue;
        peers_.push_back(peer);
        fresh.push_back(peer);
    }
    if (!fresh.empty() && on_peers_) on_peers_(now, fresh);
}

void Lookup::finish(TimePoint now) {
    done_ = true;
    LookupOutcome outcome;
    for (Candidate& candidate : candidates_) {
        if (candidate.state == State::kAnswered && outcome.closest.size() < kClosest) {
            outcome.closest.push_back({candidate.contact, std::move(candidate.token)});
        }
        const bool dead = candidate.state == State::kFailed || candidate.state == State::kGivenUp;
        if (dead && outcome.closest.size() < kClosest && outcome.dead.size() < kClosest) {
            outcome.dead.push_back(candidate.contact.at);
        }
    }
    outcome.peers = std::move(peers_);
    outcome.queries = queries_;
    outcome.answers = answers_;
    // A copy: it may destroy this lookup.
    const OnDone on_done = on_done_;
    on_done(now, std::move(outcome));
}

}  // namespace kollator::dht
