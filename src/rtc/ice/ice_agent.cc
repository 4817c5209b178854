#include "rtc/ice/ice_agent.h"

#include <algorithm>

namespace kollator::rtc {

namespace {

// A bound for an owner that does not drain; one that does never has more than a few.
constexpr std::size_t kMaxQueuedDatagrams = 128;
// How long the selected path must have been silent before we follow the peer to another path on
// which it sends authentic checks, without a nomination: its address changed. More than the 2.65 s
// between a browser's checks.
constexpr Duration kSilentPath = std::chrono::seconds(3);
// How long the selected path must have been silent before what is sent on it is followed by a
// check. More than a round trip, and little beside the 3 s after which those who wait for an answer
// go elsewhere (peer/liveness.h).
constexpr Duration kQuietPath = std::chrono::seconds(1);
// How long a nomination of one path outweighs one of a path with a lower priority: peers that
// nominate aggressively nominate several in one go, and mean the best (RFC 5245 8.1.1.2).
constexpr Duration kNominationHolds = std::chrono::seconds(2);

}  // namespace

IceAgent::IceAgent(IceOptions options, Random& random)
    : options_(std::move(options)), random_(random), tie_breaker_(random.u64()) {}

void IceAgent::set_remote_credentials(IceCredentials credentials) {
    remote_ = std::move(credentials);
}

void IceAgent::add_local_candidate(const Candidate& candidate) {
    local_candidates_.push_back(candidate);
    if (candidate.relay == 0) return;
    for (const RemoteCandidate& remote : remote_candidates_) pair_up(remote, candidate.relay);
}

bool IceAgent::add_remote_candidate(const Candidate& candidate) {
    if (remote_candidates_.size() >= kMaxRemoteCandidates) return false;
    const RemoteCandidate& remote = remote_candidates_.emplace_back(RemoteCandidate{
        candidate.address, candidate.priority, candidate.type == CandidateType::kRelayed});
    const bool reachable = !remote.address.ip.is_v6() || options_.ipv6;
    if (reachable && !options_.relay_only) pair_up(remote, 0);
    for (const Candidate& local : local_candidates_) {
        if (local.relay != 0) pair_up(remote, local.relay);
    }
    return true;
}

void IceAgent::pair_up(const RemoteCandidate& remote, std::uint32_t relay) {
    for (const Candidate& local : local_candidates_) {
        // A relay has addresses of one family.
        const bool same = local.address.ip.is_v6() == remote.address.ip.is_v6();
        if (relay != 0 && local.relay == relay && !same) return;
    }
    const IcePath path{IpAddress(), remote.address, relay};
    const bool known = std::any_of(pairs_.begin(), pairs_.end(),
                                   [&](const auto& pair) { return pair->path.leads_as(path); });
    if (!known) add_pair(path, remote.priority);
}

void IceAgent::handle_datagram(TimePoint now, const IcePath& path, ByteSpan datagram) {
    if (state_ == IceState::kFailed || (options_.relay_only && path.relay == 0)) return;
    const Result<StunMessage> message = parse_stun(datagram);
    if (!message.ok() || message->method != kStunBinding) return;
    switch (message->message_class) {
        case StunClass::kRequest:
            handle_request(now, path, datagram, *message);
            break;
        case StunClass::kSuccess:
        case StunClass::kError:
            handle_response(now, path, datagram, *message);
            break;
        case StunClass::kIndication:
            break;  // RFC 8445 11: keepalives; they carry nothing.
    }
}

void IceAgent::note_data(TimePoint now, const IcePath& path) {
    if (selected_ != nullptr && selected_->path.leads_as(path)) {
        selected_->last_received = now;
    }
}

void IceAgent::note_sent(TimePoint now) {
    if (!consent_ || selected_ == nullptr) return;
    if (selected_->last_received.value_or(TimePoint()) + kQuietPath > now) return;
    if (!consent_->awaiting()) consent_->check_soon(now);
}

void IceAgent::check_stray(TimePoint now, const IcePath& path) {
    if (!remote_ || !send_path_ || options_.relay_only) return;
    CandidatePair* pair = find_pair(path);
    if (pair == nullptr) {
        pair = add_pair(path, candidate_priority(CandidateType::kPeerReflexive, 65535));
    }
    if (pair == nullptr || pair->state == PairState::kSucceeded) return;
    pair->stray_at = now;
    trigger(*pair);
    send_next_check(now);
}

// RFC 8445 7.3.
void IceAgent::handle_request(TimePoint now, const IcePath& path, ByteSpan datagram,
                              const StunMessage& message) {
    // DEVIATION from RFC 8489 9.1.3, which answers 400 and 401: a stranger gets nothing, so that a
    // forged source address brings nobody a packet.
    if (!is_authentic(datagram, message)) return;
    if (!message.unknown_required.empty()) {
        answer_error(path, message, StunErrorCode::kUnknownAttribute, "Unknown Attribute");
        return;
    }
    if (!resolve_role_conflict(path, message)) return;
    answer(path, message);

    CandidatePair* pair = find_pair(path);
    if (pair == nullptr) {
        // 7.3.1.3: a peer-reflexive candidate, whose priority the request says.
        const std::uint32_t prflx = candidate_priority(CandidateType::kPeerReflexive, 65535);
        pair = add_pair(path, message.priority.value_or(prflx));
        if (pair == nullptr) return;
    }
    if (pair->path.local.is_unspecified()) pair->path.local = path.local;
    if (!pair->heard) events_.push_back({IceEvent::Kind::kHeard, path});
    pair->heard = true;
    pair->last_received = now;
    // 7.3.1.4: "If the state of that pair is Succeeded, nothing further is done."
    if (pair->state != PairState::kSucceeded) trigger(*pair);
    if (message.use_candidate && options_.role == IceRole::kControlled) {
        handle_nomination(now, *pair);
    } else if (pair->state == PairState::kSucceeded && should_switch_to(now, *pair)) {
        select(now, *pair);
    }
    update_send_path(now);
    send_next_check(now);
}

bool IceAgent::is_authentic(ByteSpan datagram, const StunMessage& message) const {
    if (!message.username || !message.integrity_offset) return false;
    const std::string_view username = *message.username;
    const std::size_t colon = username.find(':');
    if (colon == std::string_view::npos) return false;
    if (username.substr(0, colon) != options_.local.ufrag) return false;
    if (remote_ && username.substr(colon + 1) != remote_->ufrag) return false;
    return verify_integrity(datagram, message, options_.local.password);
}

// RFC 8445 7.3.1.1. False: the request was refused.
bool IceAgent::resolve_role_conflict(const IcePath& path, const StunMessage& message) {
    const bool controlling = options_.role == IceRole::kControlling;
    const std::optional<std::uint64_t> theirs =
        controlling ? message.ice_controlling : message.ice_controlled;
    if (!theirs) return true;
    const bool we_control = tie_breaker_ >= *theirs;
    if (we_control == controlling) {
        answer_error(path, message, StunErrorCode::kRoleConflict, "Role Conflict");
        return false;
    }
    switch_role(we_control ? IceRole::kControlling : IceRole::kControlled);
    return true;
}

void IceAgent::answer(const IcePath& path, const StunMessage& message) {
    emit(path, StunBuilder(StunClass::kSuccess, kStunBinding, message.transaction)
                   .xor_mapped_address(path.remote)
                   .integrity(options_.local.password)
                   .fingerprint()
                   .finish());
}

void IceAgent::answer_error(const IcePath& path, const StunMessage& message, StunErrorCode code,
                            std::string_view reason) {
    StunBuilder builder(StunClass::kError, kStunBinding, message.transaction);
    builder.error(code, reason);
    if (code == StunErrorCode::kUnknownAttribute) {
        builder.unknown_attributes(message.unknown_required);
    }
    emit(path, builder.integrity(options_.local.password).fingerprint().finish());
}

// RFC 8445 7.3.1.5.
void IceAgent::handle_nomination(TimePoint now, CandidatePair& pair) {
    pair.nominated = true;
    pair.last_nominated = now;
    if (pair.state == PairState::kSucceeded && should_switch_to(now, pair)) select(now, pair);
}

bool IceAgent::should_switch_to(TimePoint now, const CandidatePair& pair) const {
    if (selected_ == &pair) return false;
    const bool silent =
        selected_ != nullptr && selected_->last_received.value_or(TimePoint()) + kSilentPath <= now;
    if (!pair.nominated) return silent || has_moved_to(pair);
    if (selected_ == nullptr || silent || pair.priority >= selected_->priority) return true;
    return selected_->last_nominated.value_or(TimePoint()) + kNominationHolds <= now;
}

/// Data came from there last, and nothing since from where we send to.
bool IceAgent::has_moved_to(const CandidatePair& pair) const {
    if (!pair.stray_at || !send_path_) return false;
    return std::none_of(pairs_.begin(), pairs_.end(), [&](const auto& each) {
        return each->path.leads_as(*send_path_) &&
               each->last_received.value_or(TimePoint()) >= *pair.stray_at;
    });
}

void IceAgent::select(TimePoint now, CandidatePair& pair) {
    selected_ = &pair;
    update_send_path(now);
}

void IceAgent::update_send_path(TimePoint now) {
    const CandidatePair* best = selected_;
    if (best == nullptr) {
        for (const auto& pair : pairs_) {
            const bool better = best == nullptr || pair->priority > best->priority;
            if (pair->state == PairState::kSucceeded && better) best = pair.get();
        }
    }
    if (best == nullptr || send_path_ == best->path) return;
    if (send_path_ && send_path_->leads_as(best->path)) {
        send_path_ = best->path;  // only our own side of it became known, or changed
        return;
    }
    if (consent_) {
        // The path was proved when its pair succeeded, which may be long ago.
        consent_->renew(now);
        consent_->check_soon(now);
    } else {
        consent_.emplace(now, options_.consent_timeout, random_);
    }
    send_path_ = best->path;
    events_.push_back({IceEvent::Kind::kSelected, best->path});
}

bool IceAgent::is_valid(const IcePath& path) const {
    return std::any_of(pairs_.begin(), pairs_.end(), [&path](const auto& pair) {
        return pair->state == PairState::kSucceeded && pair->path.leads_as(path);
    });
}

void IceAgent::handle_timeout(TimePoint now) {
    if (state_ == IceState::kFailed) return;
    if (consent_ && consent_->expires() <= now) {
        // RFC 7675 5.1: "If consent expires ... MUST cease transmission".
        state_ = IceState::kFailed;
        send_path_.reset();
        output_.clear();
        return;
    }
    retransmit(now);
    if (relay_waits_until_ && *relay_waits_until_ <= now) nominate_if_controlling(now);
    send_next_check(now);
    if (consent_ && consent_->next_check() <= now) send_consent_check(now);
}

std::optional<TimePoint> IceAgent::next_timeout() const {
    if (state_ == IceState::kFailed) return std::nullopt;
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint when) {
        if (!next || when < *next) next = when;
    };
    for (const auto& pair : pairs_) {
        if (pair->check) consider(pair->check->resend_at);
        const std::optional<TimePoint> when = remote_ ? due(*pair) : std::nullopt;
        if (when) consider(last_check_at_ ? std::max(*when, *last_check_at_ + kPacing) : *when);
    }
    if (relay_waits_until_) consider(*relay_waits_until_);
    if (consent_) consider(std::min(consent_->next_check(), consent_->expires()));
    return next;
}

std::optional<IceDatagram> IceAgent::poll_output() {
    if (output_.empty()) return std::nullopt;
    IceDatagram datagram = std::move(output_.front());
    output_.pop_front();
    return datagram;
}

std::optional<IceEvent> IceAgent::poll_event() {
    if (events_.empty()) return std::nullopt;
    const IceEvent event = events_.front();
    events_.pop_front();
    return event;
}

void IceAgent::emit(const IcePath& path, Bytes bytes) {
    if (output_.size() < kMaxQueuedDatagrams) output_.push_back({path, std::move(bytes)});
}

// RFC 8445 6.1.2.3: 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0), G the controlling side's.
std::uint64_t IceAgent::pair_priority(const CandidatePair& pair) const {
    const std::uint64_t own = local_priority(pair.path);
    const std::uint64_t theirs = pair.remote_priority;
    const bool controlling = options_.role == IceRole::kControlling;
    const std::uint64_t g = controlling ? own : theirs;
    const std::uint64_t d = controlling ? theirs : own;
    return (std::min(g, d) << 32) + 2 * std::max(g, d) + (g > d ? 1 : 0);
}

std::uint32_t IceAgent::local_priority(const IcePath& path) const {
    for (const Candidate& candidate : local_candidates_) {
        if (candidate.relay != path.relay) continue;
        if (path.relay != 0) return candidate.priority;
        const bool same_family = candidate.address.ip.is_v6() == path.remote.ip.is_v6();
        if (candidate.address.ip == path.local || (path.local.is_unspecified() && same_family)) {
            return candidate.priority;
        }
    }
    return candidate_priority(CandidateType::kPeerReflexive, 65535);
}

void IceAgent::switch_role(IceRole role) {
    options_.role = role;
    for (const auto& pair : pairs_) {
        pair->priority = pair_priority(*pair);
        // What is in flight tells the old role: its answers are of no use, and a late 487 among
        // them must not switch the role back.
        if (pair->check) pair->triggered = true;
        pair->check.reset();
        if (pair->state == PairState::kInProgress) pair->state = PairState::kWaiting;
    }
}

/// The pair of this path, or the one for its remote address whose local one nobody knows yet.
CandidatePair* IceAgent::find_pair(const IcePath& path) {
    CandidatePair* unbound = nullptr;
    for (const auto& pair : pairs_) {
        if (!pair->path.leads_as(path)) continue;
        if (pair->path.local == path.local) return pair.get();
        if (pair->path.local.is_unspecified()) unbound = pair.get();
    }
    return unbound;
}

CandidatePair* IceAgent::find_transaction(const TransactionId& transaction) {
    for (const auto& pair : pairs_) {
        if (pair->check && pair->check->id == transaction) return pair.get();
    }
    return nullptr;
}

CandidatePair* IceAgent::add_pair(const IcePath& path, std::uint32_t remote_priority) {
    if (pairs_.size() >= kMaxPairs && !make_room()) return nullptr;
    auto pair = std::make_unique<CandidatePair>();
    pair->path = path;
    pair->remote_priority = remote_priority;
    pair->priority = pair_priority(*pair);
    pairs_.push_back(std::move(pair));
    return pairs_.back().get();
}

/// Drops the pair that has been silent for the longest, of those that are not proved where there
/// are such; of those never heard from, the one with the lowest priority.
bool IceAgent::make_room() {
    const auto worth = [this](const CandidatePair& pair) {
        if (&pair == selected_) return 2;
        return pair.state == PairState::kSucceeded ? 1 : 0;
    };
    const auto worse = [&worth](const auto& a, const auto& b) {
        if (worth(*a) != worth(*b)) return worth(*a) < worth(*b);
        const TimePoint heard_a = a->last_received.value_or(TimePoint());
        const TimePoint heard_b = b->last_received.value_or(TimePoint());
        return heard_a != heard_b ? heard_a < heard_b : a->priority < b->priority;
    };
    const auto worst = std::min_element(pairs_.begin(), pairs_.end(), worse);
    if (worst == pairs_.end() || worst->get() == selected_) return false;
    pairs_.erase(worst);
    return true;
}

}  // namespace kollator::rtc
