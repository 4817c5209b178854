#include <gtest/gtest.h>

#include <set>

#include "rtc/ice/ice_agent.h"
#include "rtc/testing/ice_parties.h"

namespace kollator::rtc {
namespace {

const SocketAddress kRelayed = address("203.0.113.9", 50000);

Candidate relayed(std::uint32_t relay) {
    Candidate candidate;
    candidate.priority = candidate_priority(CandidateType::kRelayed, 65535);
    candidate.address = kRelayed;
    candidate.type = CandidateType::kRelayed;
    candidate.relay = relay;
    return candidate;
}

/// An agent with its socket and one relay; the test is the peer.
class RelayTest : public ::testing::Test {
 protected:
    void make(bool relay_only, IceRole role = IceRole::kControlled) {
        IceOptions chosen = options(role, kWorkerCredentials);
        chosen.relay_only = relay_only;
        agent_ = std::make_unique<IceAgent>(chosen, random_);
        agent_->add_local_candidate(host(kWorker));
        agent_->set_remote_credentials(kPeerCredentials);
    }
    /// The relays by which it checks within a second.
    std::multiset<std::uint32_t> checks(bool answered) {
        std::multiset<std::uint32_t> by;
        const TimePoint end = clock_.now() + milliseconds(400);
        for (; clock_.now() < end; clock_.advance(milliseconds(50))) {
            agent_->handle_timeout(clock_.now());
            while (const auto out = agent_->poll_output()) {
                by.insert(out->path.relay);
                if (answered) answer(*out);
            }
        }
        return by;
    }
    /// Runs until it nominates, or for as long, with a peer that answers what comes by the relay,
    /// and from `direct_from` on what comes without; gives the relay by which it nominates.
    std::optional<std::uint32_t> nominated(Duration limit, TimePoint direct_from) {
        const TimePoint end = clock_.now() + limit;
        for (; clock_.now() < end; clock_.advance(milliseconds(10))) {
            agent_->handle_timeout(clock_.now());
            while (const auto out = agent_->poll_output()) {
                const Result<StunMessage> check = parse_stun(out->bytes);
                if (check.ok() && check->use_candidate) return out->path.relay;
                if (out->path.relay != 0 || clock_.now() >= direct_from) answer(*out);
            }
            const auto next = agent_->next_timeout();
            EXPECT_TRUE(!next || *next > clock_.now() - milliseconds(50)) << "a timer is ignored";
        }
        return std::nullopt;
    }
    void answer(const IceDatagram& check) {
        const Result<StunMessage> message = parse_stun(check.bytes);
        ASSERT_TRUE(message.ok());
        if (message->message_class != StunClass::kRequest) return;
        agent_->handle_datagram(clock_.now(), check.path,
                                StunBuilder(StunClass::kSuccess, kStunBinding, message->transaction)
                                    .xor_mapped_address(kRelayed)
                                    .integrity(kPeerCredentials.password)
                                    .fingerprint()
                                    .finish());
    }
    void check_by(std::uint32_t relay) {
        agent_->handle_datagram(clock_.now(), {IpAddress(), kPeer, relay},
                                StunBuilder(StunClass::kRequest, kStunBinding, {1})
                                    .username("workerXY:peerABCD")
                                    .priority(1)
                                    .ice_controlling(1)
                                    .integrity(kWorkerCredentials.password)
                                    .fingerprint()
                                    .finish());
    }

    ManualClock clock_;
    SeededRandom random_{3};
    std::unique_ptr<IceAgent> agent_;
};

TEST_F(RelayTest, IsABaseOfItsOwnWhateverComesFirst) {
    make(false);
    agent_->add_local_candidate(relayed(1));
    agent_->add_remote_candidate(host(kPeer));
    EXPECT_EQ(agent_->pair_count(), 2u);
    EXPECT_EQ(checks(false), (std::multiset<std::uint32_t>{0, 1}));
    make(false);
    agent_->add_remote_candidate(host(kPeer));
    agent_->add_local_candidate(relayed(1));
    EXPECT_EQ(agent_->pair_count(), 2u);
    // The peer's other address family is nothing for this relay.
    agent_->add_remote_candidate(host(address("2001:db8::2", 5)));
    EXPECT_EQ(agent_->pair_count(), 3u);
}

TEST_F(RelayTest, CarriesWhatNoOtherWayDoes) {
    make(false);
    agent_->add_local_candidate(relayed(1));
    check_by(1);
    checks(true);
    ASSERT_TRUE(agent_->send_path().has_value());
    EXPECT_EQ(agent_->send_path()->relay, 1u);
    EXPECT_EQ(agent_->send_path()->remote, kPeer);
    EXPECT_TRUE(agent_->is_valid({IpAddress(), kPeer, 1}));
    EXPECT_FALSE(agent_->is_valid({IpAddress(), kPeer, 0}));
}

TEST_F(RelayTest, GoesAfterEveryOtherWay) {
    make(false);
    agent_->add_local_candidate(relayed(1));
    agent_->add_remote_candidate(host(kPeer));
    checks(true);
    ASSERT_TRUE(agent_->send_path().has_value());
    EXPECT_EQ(agent_->send_path()->relay, 0u);
}

// Two NATs let each other's packets in once both have sent: some checks are lost, while those by
// the relay arrive at once.
TEST_F(RelayTest, IsNotNominatedWhileADirectWayMayStillBeFound) {
    make(false, IceRole::kControlling);
    agent_->add_local_candidate(relayed(1));
    agent_->add_remote_candidate(host(kPeer));
    EXPECT_EQ(nominated(seconds(10), clock_.now() + milliseconds(1200)), 0u);
    // What there is carries data all the while.
    EXPECT_TRUE(agent_->send_path().has_value());
}

TEST_F(RelayTest, IsNominatedWhereNoDirectWayIsFound) {
    make(false, IceRole::kControlling);
    agent_->add_local_candidate(relayed(1));
    agent_->add_remote_candidate(host(kPeer));
    const TimePoint began = clock_.now();
    EXPECT_EQ(nominated(seconds(10), TimePoint::max()), 1u);
    EXPECT_LT(clock_.now() - began, seconds(4));
    EXPECT_EQ(agent_->send_path()->relay, 1u);
}

TEST_F(RelayTest, OfThePeerGoesAfterEveryOtherWayToo) {
    make(false, IceRole::kControlling);
    Candidate theirs = relayed(0);
    theirs.address = kRelayed;
    agent_->add_remote_candidate(theirs);
    agent_->add_remote_candidate(host(kPeer));
    const TimePoint end = clock_.now() + seconds(10);
    std::optional<SocketAddress> chosen;
    for (const TimePoint began = clock_.now(); !chosen && clock_.now() < end;
         clock_.advance(milliseconds(10))) {
        agent_->handle_timeout(clock_.now());
        while (const auto out = agent_->poll_output()) {
            const Result<StunMessage> check = parse_stun(out->bytes);
            if (check.ok() && check->use_candidate) chosen = out->path.remote;
            const bool hole_open = clock_.now() >= began + milliseconds(1200);
            if (out->path.remote == kRelayed || hole_open) answer(*out);
        }
    }
    EXPECT_EQ(chosen, kPeer);
}

TEST_F(RelayTest, IsTheOnlyWayWhereThatIsWanted) {
    make(true);
    agent_->add_local_candidate(relayed(1));
    agent_->add_remote_candidate(host(kPeer));
    EXPECT_EQ(agent_->pair_count(), 1u);
    check_by(0);
    EXPECT_EQ(agent_->pair_count(), 1u);
    EXPECT_EQ(checks(true).count(0), 0u);
    EXPECT_EQ(agent_->send_path()->relay, 1u);
}

}  // namespace
}  // namespace kollator::rtc
