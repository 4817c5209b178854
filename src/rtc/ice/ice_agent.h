#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "rtc/ice/candidate.h"
#include "rtc/ice/candidate_pair.h"
#include "rtc/ice/consent.h"
#include "rtc/stun/stun_message.h"

namespace kollator::rtc {

enum class IceRole : std::uint8_t { kControlling, kControlled };

//   kChecking ──a check was answered──▶ kConnected ──consent ran out──▶ kFailed
//
// There is no kFailed from kChecking: the peer may turn up at an address that nobody announced
// (peer-reflexive), so how long to wait for it is the owner's decision.
enum class IceState : std::uint8_t { kChecking, kConnected, kFailed };

struct IceOptions {
    IceRole role = IceRole::kControlled;
    IceCredentials local;
    /// The first four bytes of every transaction id, by which the owner of a shared socket finds
    /// the agent that an answer belongs to.
    std::uint32_t transaction_prefix = 0;
    bool ipv6 = true;  ///< whether the socket can send to v6 addresses
    /// Only relays are used: nothing is sent, or answered, by the socket itself.
    bool relay_only = false;
    Duration consent_timeout = std::chrono::seconds(12);
    /// How often a check is sent, while none was ever answered. RFC 8489 6.2.1: Rc. Sent at 0, 0.5,
    /// 1.5, 3.5, 7.5, 15.5 and 31.5 s: a peer that gets our answer half a minute late is still
    /// reached.
    int first_transmissions = 7;
    /// Until then only checks of the peer make us send ours. An answerer that can be reached gives
    /// the peer time to get the answer.
    TimePoint ordinary_checks_from{};
};

struct IceDatagram {
    IcePath path;
    Bytes bytes;
};

struct IceEvent {
    enum class Kind : std::uint8_t {
        kHeard,      ///< the first authentic request came on the path
        kValidated,  ///< the path was proved in both directions
        kSelected,   ///< the path is the one to send on from now
    };
    Kind kind = Kind::kValidated;
    IcePath path;
};

/// One full ICE agent (RFC 8445) for one component, sans-IO: datagrams and time go in, datagrams
/// and events come out. It sends from one socket, and through relays, each of which is a base of
/// its own: IcePath says which.
///
/// After any call that may change something (all that are not const), drain poll_output() and
/// poll_event(), and look at next_timeout(). Loop thread only.
class IceAgent {
 public:
    /// `random` outlives the agent.
    IceAgent(IceOptions options, Random& random);

    const IceCredentials& local_credentials() const { return options_.local; }
    const std::optional<IceCredentials>& remote_credentials() const { return remote_; }
    /// Until it is called, checks are answered but none are sent.
    void set_remote_credentials(IceCredentials credentials);
    /// Of one that is not relayed only priority and address matter: all of them share the socket.
    void add_local_candidate(const Candidate& candidate);
    /// False: those past kMaxRemoteCandidates are ignored.
    bool add_remote_candidate(const Candidate& candidate);

    /// A STUN datagram (first byte 0..3, RFC 7983). Whatever is malformed or not authentic changes
    /// nothing and is not answered.
    void handle_datagram(TimePoint now, const IcePath& path, ByteSpan datagram);
    /// Data came in on this path. Cheap.
    void note_data(TimePoint now, const IcePath& path);
    /// Data went out on send_path(). Cheap. Where nothing was heard for a while a check follows: a
    /// NAT may have forgotten us, and only a check makes the peer follow (its data cannot).
    void note_sent(TimePoint now);
    /// Data came from where the peer is not known to be, which may be the peer behind a NAT that
    /// forgot it: asks. An answer makes this the path to send on, unless the old one was heard from
    /// meanwhile. Nothing before there is a path, or where relays only are used.
    void check_stray(TimePoint now, const IcePath& path);
    void handle_timeout(TimePoint now);

    std::optional<IceDatagram> poll_output();
    std::optional<IceEvent> poll_event();
    /// Empty: no timer runs.
    std::optional<TimePoint> next_timeout() const;

    IceState state() const { return state_; }
    IceRole role() const { return options_.role; }
    /// Where to send: the selected pair, before there is one the best that is valid (RFC
    /// 8445 12.1), or empty.
    const std::optional<IcePath>& send_path() const { return send_path_; }
    /// Whether an answer to a check of ours came by this way.
    bool is_valid(const IcePath& path) const;
    std::size_t pair_count() const { return pairs_.size(); }

    static constexpr std::size_t kMaxRemoteCandidates = 32;
    /// Pairs that signaling and peer-reflexive addresses make; RFC 8445 6.1.2.5 recommends 100 for
    /// a whole session of several components.
    static constexpr std::size_t kMaxPairs = 64;
    /// RFC 8445 14.2: "The default value of Ta SHOULD be 50 milliseconds": one new check in that
    /// time.
    static constexpr Duration kPacing = std::chrono::milliseconds(50);

 private:
    struct RemoteCandidate {
        SocketAddress address;
        std::uint32_t priority = 0;
        bool relayed = false;
    };

    // Requests of the peer.
    void handle_request(TimePoint now, const IcePath& path, ByteSpan datagram,
                        const StunMessage& message);
    bool is_authentic(ByteSpan datagram, const StunMessage& message) const;
    bool resolve_role_conflict(const IcePath& path, const StunMessage& message);
    void answer(const IcePath& path, const StunMessage& message);
    void answer_error(const IcePath& path, const StunMessage& message, StunErrorCode code,
                      std::string_view reason);
    void handle_nomination(TimePoint now, CandidatePair& pair);

    // Our own checks.
    void handle_response(TimePoint now, const IcePath& path, ByteSpan datagram,
                         const StunMessage& message);
    void handle_check_success(TimePoint now, CandidatePair& pair);
    void handle_check_error(TimePoint now, CandidatePair& pair, const StunError& error);
    void fail_check(TimePoint now, CandidatePair& pair);
    void send_next_check(TimePoint now);
    void send_check(TimePoint now, CandidatePair& pair);
    void retransmit(TimePoint now);
    int max_transmissions(const CandidatePair& pair) const;
    void send_consent_check(TimePoint now);
    Bytes build_check(const TransactionId& transaction, bool use_candidate) const;
    TransactionId new_transaction();

    // The check list.
    void pair_up(const RemoteCandidate& remote, std::uint32_t relay);
    CandidatePair* find_pair(const IcePath& path);
    CandidatePair* find_transaction(const TransactionId& transaction);
    CandidatePair* add_pair(const IcePath& path, std::uint32_t remote_priority);
    bool make_room();
    CandidatePair* next_waiting(TimePoint now);
    /// When the next check of this pair may begin, as far as only the pair is asked.
    std::optional<TimePoint> due(const CandidatePair& pair) const;
    void trigger(CandidatePair& pair);
    void switch_role(IceRole role);
    std::uint32_t local_priority(const IcePath& path) const;
    std::uint64_t pair_priority(const CandidatePair& pair) const;

    // What the outcome is.
    bool should_switch_to(TimePoint now, const CandidatePair& pair) const;
    bool has_moved_to(const CandidatePair& pair) const;
    void select(TimePoint now, CandidatePair& pair);
    void update_send_path(TimePoint now);
    void nominate_if_controlling(TimePoint now);
    bool goes_by_relay(const CandidatePair& pair) const;
    bool may_find_direct_path() const;
    void emit(const IcePath& path, Bytes bytes);

    IceOptions options_;
    Random& random_;
    IceState state_ = IceState::kChecking;
    std::uint64_t tie_breaker_;
    std::optional<IceCredentials> remote_;
    std::vector<Candidate> local_candidates_;
    std::vector<RemoteCandidate> remote_candidates_;

    /// In no order. Pointers into it are good until add_pair.
    std::vector<std::unique_ptr<CandidatePair>> pairs_;
    CandidatePair* selected_ = nullptr;
    std::optional<IcePath> send_path_;
    std::optional<TimePoint> last_check_at_;
    /// Set while a valid pair that goes by a relay waits for one that does not.
    std::optional<TimePoint> relay_waits_until_;
    std::optional<Consent> consent_;

    std::deque<IceDatagram> output_;
    std::deque<IceEvent> events_;
};

}  // namespace kollator::rtc
