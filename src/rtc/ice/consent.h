#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

/// Consent freshness (RFC 7675): whether the peer still wants what we send. Only answers to our own
/// checks renew it: the peer's requests could be sent by it from anybody's address.
class Consent {
 public:
    Consent(TimePoint now, Duration timeout, Random& random);

    /// A check was sent with this id.
    void note_sent(TimePoint now, const TransactionId& id);
    /// True where `id` is one of the recent checks; consent is then renewed.
    bool renew(TimePoint now, const TransactionId& id);
    /// Asks for a check at once, on a path that is new.
    void check_soon(TimePoint now) { next_check_ = now; }
    /// Proof of another kind: an ordinary check of the path was answered.
    void renew(TimePoint now);

    /// Whether a check is not answered yet; the next follows within a second then.
    bool awaiting() const { return awaiting_; }
    TimePoint next_check() const { return next_check_; }
    TimePoint expires() const { return expires_; }

 private:
    // RFC 7675 5.1: "the default interval of 5 seconds ... randomized from 0.8 to 1.2 of it".
    static constexpr Duration kInterval = std::chrono::seconds(5);
    // DEVIATION: an unanswered check is followed by the next after 1 s, not 5 s, so that two lost
    // packets in a row do not end a connection that has 12 s.
    static constexpr Duration kRetryInterval = std::chrono::seconds(1);
    static constexpr std::size_t kRemembered = 4;

    Duration random_interval();

    Duration timeout_;
    Random* random_;
    TimePoint next_check_;
    TimePoint expires_;
    std::array<TransactionId, kRemembered> recent_{};
    std::size_t sent_ = 0;
    bool awaiting_ = false;
};

}  // namespace kollator::rtc
