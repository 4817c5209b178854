// The agent's own connectivity checks: pacing, retransmission, answers, nomination, consent.
#include <algorithm>
#include <utility>

#include "rtc/ice/ice_agent.h"

namespace kollator::rtc {

namespace {

// RFC 8445 14.3: "RTO = MAX (500ms, ...)".
constexpr Duration kInitialTimeout = std::chrono::milliseconds(500);
// RFC 8489 6.2.1: Rc.
constexpr int kMaxTransmissions = 7;
// To where only data came from, which anybody may have sent: more data asks again.
constexpr int kStrayTransmissions = 1;
// How long a valid pair that goes by a relay waits for one that does not. Two NATs let each other's
// checks in once both sides have sent: an answerer begins to by itself after a second, while a
// relay's first check comes through. What there is to send goes by the relay meanwhile.
constexpr Duration kRelayPatience = std::chrono::seconds(3);

}  // namespace

void IceAgent::trigger(CandidatePair& pair) {
    if (!remote_) return;
    pair.triggered = true;
    if (pair.state == PairState::kFailed) pair.state = PairState::kWaiting;
}

/// The triggered before the ordinary, among equals the highest priority.
CandidatePair* IceAgent::next_waiting(TimePoint now) {
    CandidatePair* next = nullptr;
    for (const auto& pair : pairs_) {
        const std::optional<TimePoint> when = due(*pair);
        if (!when || *when > now) continue;
        const bool better = next == nullptr || pair->triggered > next->triggered ||
                            (pair->triggered == next->triggered && pair->priority > next->priority);
        if (better) next = pair.get();
    }
    return next;
}

std::optional<TimePoint> IceAgent::due(const CandidatePair& pair) const {
    if (pair.triggered) return TimePoint();
    // RFC 8445 8.1.2: with a pair selected, the waiting ones are of no interest any more.
    if (pair.state != PairState::kWaiting || selected_ != nullptr) return std::nullopt;
    return options_.ordinary_checks_from;
}

// RFC 8445 6.1.4.2.
void IceAgent::send_next_check(TimePoint now) {
    if (!remote_ || (last_check_at_ && now < *last_check_at_ + kPacing)) return;
    CandidatePair* const pair = next_waiting(now);
    if (pair == nullptr) return;
    last_check_at_ = now;
    pair->triggered = false;
    // A check that is in flight is sent once more rather than replaced: its answer, should it come,
    // proves the same.
    const bool nominate = options_.role == IceRole::kControlling && pair->nominated;
    if (!pair->check || pair->check->use_candidate != nominate) {
        pair->check = IceCheck{new_transaction(), 0, kInitialTimeout, now, nominate};
    }
    if (pair->state != PairState::kSucceeded) pair->state = PairState::kInProgress;
    send_check(now, *pair);
}

void IceAgent::send_check(TimePoint now, CandidatePair& pair) {
    IceCheck& check = *pair.check;
    ++check.sent;
    check.resend_at = now + check.timeout;
    check.timeout *= 2;
    emit(pair.path, build_check(check.id, check.use_candidate));
}

int IceAgent::max_transmissions(const CandidatePair& pair) const {
    if (pair.stray_at && !pair.heard) return kStrayTransmissions;
    return send_path_ ? kMaxTransmissions : options_.first_transmissions;
}

void IceAgent::retransmit(TimePoint now) {
    for (const auto& pair : pairs_) {
        if (!pair->check || pair->check->resend_at > now) continue;
        if (pair->check->sent < max_transmissions(*pair)) {
            send_check(now, *pair);
            continue;
        }
        fail_check(now, *pair);
    }
}

void IceAgent::fail_check(TimePoint now, CandidatePair& pair) {
    const bool we_nominated = pair.check->use_candidate;
    pair.check.reset();
    if (pair.state == PairState::kSucceeded && !we_nominated) return;
    pair.state = PairState::kFailed;
    if (we_nominated) {
        pair.nominated = false;
        nominate_if_controlling(now);
    }
}

TransactionId IceAgent::new_transaction() {
    // DEVIATION from RFC 8489 5, which wants 96 random bits: 64 are left, beside an HMAC.
    TransactionId id{};
    random_.fill(id);
    store_u32(id.data(), options_.transaction_prefix);
    return id;
}

// RFC 8445 7.1.
Bytes IceAgent::build_check(const TransactionId& transaction, bool use_candidate) const {
    StunBuilder builder(StunClass::kRequest, kStunBinding, transaction);
    builder.username(remote_->ufrag + ":" + options_.local.ufrag)
        .priority(candidate_priority(CandidateType::kPeerReflexive, 65535));
    if (options_.role == IceRole::kControlling) {
        builder.ice_controlling(tie_breaker_);
        if (use_candidate) builder.use_candidate();
    } else {
        builder.ice_controlled(tie_breaker_);
    }
    return builder.integrity(remote_->password).fingerprint().finish();
}

// RFC 8445 7.2.5.
void IceAgent::handle_response(TimePoint now, const IcePath& path, ByteSpan datagram,
                               const StunMessage& message) {
    if (!remote_ || !verify_integrity(datagram, message, remote_->password)) return;
    const bool success = message.message_class == StunClass::kSuccess;
    const bool on_send_path = send_path_ && send_path_->leads_as(path);
    if (consent_ && success && on_send_path && consent_->renew(now, message.transaction)) {
        note_data(now, path);
        return;
    }

    CandidatePair* const pair = find_transaction(message.transaction);
    // 7.2.5.2.1: an answer from elsewhere than the check was sent to proves nothing.
    if (pair == nullptr || !pair->path.leads_as(path)) return;
    if (pair->path.local.is_unspecified()) {
        // Which of our addresses the kernel chose; it may turn out to be a pair that is known.
        const CandidatePair* const same = find_pair(path);
        if (same == pair) pair->path.local = path.local;
    }
    pair->last_received = now;
    if (success) {
        handle_check_success(now, *pair);
    } else if (message.error) {
        handle_check_error(now, *pair, *message.error);
    }
    send_next_check(now);
}

void IceAgent::handle_check_success(TimePoint now, CandidatePair& pair) {
    const bool we_nominated = pair.check->use_candidate;
    pair.check.reset();
    pair.triggered = false;
    if (pair.state != PairState::kSucceeded) {
        pair.state = PairState::kSucceeded;
        events_.push_back({IceEvent::Kind::kValidated, pair.path});
    }
    state_ = IceState::kConnected;
    const bool controlling = options_.role == IceRole::kControlling;
    if (controlling && selected_ == nullptr ? we_nominated : should_switch_to(now, pair)) {
        select(now, pair);
    } else {
        update_send_path(now);
    }
    nominate_if_controlling(now);
}

// Regular nomination (RFC 8445 8.1.1): once one pair is valid, the best of the valid ones is
// checked once more with USE-CANDIDATE. "When to stop" the RFC leaves to us: at once, but for a
// relay.
void IceAgent::nominate_if_controlling(TimePoint now) {
    const auto waits_until = std::exchange(relay_waits_until_, std::nullopt);
    if (options_.role != IceRole::kControlling || selected_ != nullptr) return;
    CandidatePair* best = nullptr;
    for (const auto& pair : pairs_) {
        if (pair->nominated) return;
        if (pair->state != PairState::kSucceeded) continue;
        if (best == nullptr || pair->priority > best->priority) best = pair.get();
    }
    if (best == nullptr) return;
    if (goes_by_relay(*best) && may_find_direct_path()) {
        const TimePoint until = waits_until.value_or(now + kRelayPatience);
        if (now < until) {
            relay_waits_until_ = until;
            return;
        }
    }
    best->nominated = true;
    best->triggered = true;
}

bool IceAgent::goes_by_relay(const CandidatePair& pair) const {
    return pair.path.relay != 0 ||
           std::any_of(remote_candidates_.begin(), remote_candidates_.end(),
                       [&pair](const RemoteCandidate& remote) {
                           return remote.relayed && remote.address == pair.path.remote;
                       });
}

bool IceAgent::may_find_direct_path() const {
    return std::any_of(pairs_.begin(), pairs_.end(), [this](const auto& pair) {
        const bool open =
            pair->state == PairState::kWaiting || pair->state == PairState::kInProgress;
        return open && !goes_by_relay(*pair);
    });
}

void IceAgent::handle_check_error(TimePoint now, CandidatePair& pair, const StunError& error) {
    if (error.code == static_cast<std::uint16_t>(StunErrorCode::kRoleConflict)) {
        // 7.2.5.1: switch, and check again in the new role.
        switch_role(options_.role == IceRole::kControlling ? IceRole::kControlled
                                                           : IceRole::kControlling);
        trigger(pair);
        return;
    }
    fail_check(now, pair);
}

// RFC 7675 5.1: each is a request of its own, with a transaction of its own.
void IceAgent::send_consent_check(TimePoint now) {
    const TransactionId id = new_transaction();
    consent_->note_sent(now, id);
    emit(*send_path_,
         build_check(id, options_.role == IceRole::kControlling && selected_ != nullptr));
}

}  // namespace kollator::rtc
