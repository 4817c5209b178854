#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "rtc/ice/ice_agent.h"
#include "rtc/testing/ice_parties.h"

namespace kollator::rtc {
namespace {

/// A worker's agent and a peer that the test plays message by message.
class ScriptedPeer : public ::testing::Test {
 protected:
    ScriptedPeer() : agent_(options(IceRole::kControlled, kWorkerCredentials), random_) {
        agent_.add_local_candidate(host(kWorker));
        agent_.set_remote_credentials(kPeerCredentials);
    }

    StunBuilder request(std::uint8_t number = 1) {
        return StunBuilder(StunClass::kRequest, kStunBinding, {9, 9, number});
    }
    Bytes signed_request(StunBuilder& builder) {
        return builder.username("workerXY:peerABCD")
            .integrity(kWorkerCredentials.password)
            .fingerprint()
            .finish();
    }
    void check_from(const SocketAddress& from, std::uint32_t priority, bool nominate) {
        StunBuilder builder = request();
        builder.priority(priority).ice_controlling(1);
        if (nominate) builder.use_candidate();
        receive(from, signed_request(builder));
    }
    void receive(const SocketAddress& from, const Bytes& datagram) {
        agent_.handle_datagram(clock_.now(), {kWorker.ip, from}, datagram);
    }
    /// Answers every check that the agent has sent, after the pacing let it send them.
    void answer_checks(Duration during = seconds(1)) {
        const TimePoint end = clock_.now() + during;
        while (clock_.now() < end) {
            agent_.handle_timeout(clock_.now());
            while (const auto out = agent_.poll_output()) answer(*out);
            clock_.advance(milliseconds(50));
        }
    }
    void answer(const IceDatagram& datagram) {
        const Result<StunMessage> message = parse_stun(datagram.bytes);
        ASSERT_TRUE(message.ok());
        if (message->message_class != StunClass::kRequest) return;
        receive(datagram.path.remote,
                StunBuilder(StunClass::kSuccess, kStunBinding, message->transaction)
                    .xor_mapped_address(kWorker)
                    .integrity(kPeerCredentials.password)
                    .fingerprint()
                    .finish());
    }
    void validate(const SocketAddress& from, std::uint32_t priority, bool nominate) {
        check_from(from, priority, nominate);
        answer_checks(milliseconds(100));
    }
    void discard_output() {
        while (agent_.poll_output()) {
        }
    }

    ManualClock clock_;
    SeededRandom random_{7};
    IceAgent agent_;
};

TEST_F(ScriptedPeer, GetsNoAnswerWithoutProof) {
    StunBuilder wrong_key = request();
    receive(kPeer,
            wrong_key.username("workerXY:peerABCD").integrity("guess").fingerprint().finish());
    StunBuilder wrong_name = request();
    receive(
        kPeer,
        wrong_name.username("workerXX:peerABCD").integrity(kWorkerCredentials.password).finish());
    StunBuilder wrong_peer = request();
    receive(
        kPeer,
        wrong_peer.username("workerXY:somebody").integrity(kWorkerCredentials.password).finish());
    StunBuilder no_colon = request();
    receive(kPeer, no_colon.username("workerXY").integrity(kWorkerCredentials.password).finish());
    receive(kPeer, request().username("workerXY:peerABCD").finish());
    receive(kPeer, request().finish());
    receive(kPeer, {0x00, 0x01, 0x02});
    EXPECT_FALSE(agent_.poll_output());
    EXPECT_EQ(agent_.pair_count(), 0u);
    EXPECT_FALSE(agent_.next_timeout());
}

TEST_F(ScriptedPeer, IsToldWhichAttributesAreUnknown) {
    StunBuilder builder = request();
    builder.attribute(static_cast<StunAttribute>(0x7001), {});
    receive(kPeer, signed_request(builder));
    const auto out = agent_.poll_output();
    ASSERT_TRUE(out);
    const Result<StunMessage> message = parse_stun(out->bytes);
    ASSERT_TRUE(message.ok() && message->error);
    EXPECT_EQ(message->error->code, 420);
    EXPECT_EQ(agent_.pair_count(), 0u);
}

TEST_F(ScriptedPeer, WithALowerTieBreakerIsToldOfTheConflict) {
    // The agent is controlled and so says the peer: with the lower tie-breaker it must stay so.
    StunBuilder low = request();
    low.ice_controlled(0);
    receive(kPeer, signed_request(low));
    EXPECT_EQ(agent_.role(), IceRole::kControlling);

    StunBuilder lower = request();
    lower.ice_controlling(0);
    receive(kPeer, signed_request(lower));
    agent_.poll_output();
    EXPECT_EQ(agent_.role(), IceRole::kControlling);
    bool refused = false;
    while (const auto out = agent_.poll_output()) {
        const Result<StunMessage> message = parse_stun(out->bytes);
        ASSERT_TRUE(message.ok());
        refused |= message->error && message->error->code == 487;
    }
    EXPECT_TRUE(refused);
}

TEST_F(ScriptedPeer, AnswerFromElsewhereProvesNothing) {
    check_from(kPeer, 100, true);
    while (auto out = agent_.poll_output()) {
        out->path.remote = address("203.0.113.1", 1);
        answer(*out);
    }
    EXPECT_EQ(agent_.state(), IceState::kChecking);
    EXPECT_FALSE(agent_.send_path());
}

TEST_F(ScriptedPeer, AggressiveNominationEndsOnTheBestPair) {
    const SocketAddress worse = address("198.51.100.3", 1);
    const SocketAddress better = address("198.51.100.3", 2);
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, worse);
    validate(better, 200, true);
    EXPECT_EQ(agent_.send_path()->remote, better);
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, better);
}

TEST_F(ScriptedPeer, LaterNominationOfAWorsePairHolds) {
    const SocketAddress worse = address("198.51.100.3", 1);
    const SocketAddress better = address("198.51.100.3", 2);
    validate(better, 200, true);
    validate(worse, 100, false);
    EXPECT_EQ(agent_.send_path()->remote, better);
    answer_checks(seconds(3));
    validate(worse, 100, true);
    EXPECT_EQ(agent_.send_path()->remote, worse);
}

TEST_F(ScriptedPeer, SendsOnAValidPairBeforeNomination) {
    validate(kPeer, 100, false);
    ASSERT_TRUE(agent_.send_path());
    EXPECT_EQ(agent_.send_path()->remote, kPeer);
}

TEST_F(ScriptedPeer, CannotGrowTheCheckListWithoutBound) {
    validate(kPeer, 1000, true);
    for (std::uint16_t port = 1; port <= 1000; ++port) {
        check_from(address("203.0.113.5", port), 1, false);
        discard_output();
    }
    EXPECT_LE(agent_.pair_count(), IceAgent::kMaxPairs);
    EXPECT_EQ(agent_.send_path()->remote, kPeer);
}

TEST_F(ScriptedPeer, KeepsAProvedPathThatIsNotNominatedYet) {
    validate(kPeer, 1000, false);
    for (std::uint16_t port = 1; port <= 1000; ++port) {
        clock_.advance(milliseconds(1));
        check_from(address("203.0.113.5", port), 1, false);
        discard_output();
    }
    EXPECT_TRUE(agent_.is_valid({kWorker.ip, kPeer}));
}

TEST_F(ScriptedPeer, IsCheckedAtAPaceThatIsBounded) {
    for (std::uint16_t port = 1; port <= 100; ++port) {
        EXPECT_EQ(agent_.add_remote_candidate(host(address("198.51.100.9", port))),
                  port <= IceAgent::kMaxRemoteCandidates);
    }
    EXPECT_EQ(agent_.pair_count(), IceAgent::kMaxRemoteCandidates);
    std::map<SocketAddress, int> sent;
    for (int turn = 0; turn < 8; ++turn) {
        std::size_t fresh = 0;
        agent_.handle_timeout(clock_.now());
        agent_.handle_timeout(clock_.now());
        while (const auto out = agent_.poll_output()) fresh += sent[out->path.remote]++ == 0;
        EXPECT_EQ(fresh, 1u);
        clock_.advance(IceAgent::kPacing);
    }
}

TEST_F(ScriptedPeer, IsGivenTimeToBegin) {
    IceOptions patient = options(IceRole::kControlled, kWorkerCredentials);
    patient.ordinary_checks_from = clock_.now() + seconds(1);
    IceAgent agent(patient, random_);
    agent.set_remote_credentials(kPeerCredentials);
    agent.add_remote_candidate(host(address("198.51.100.9", 9)));
    agent.handle_timeout(clock_.now());
    EXPECT_FALSE(agent.poll_output());
    EXPECT_EQ(agent.next_timeout(), patient.ordinary_checks_from);
    // What a check of the peer triggers does not wait.
    StunBuilder builder = request();
    agent.handle_datagram(clock_.now(), {kWorker.ip, kPeer}, signed_request(builder));
    EXPECT_TRUE(agent.poll_output());
    EXPECT_TRUE(agent.poll_output());
    clock_.advance(seconds(1));
    agent.handle_timeout(clock_.now());
    const auto out = agent.poll_output();
    ASSERT_TRUE(out);
}

TEST_F(ScriptedPeer, IsGivenUpAfterSevenTransmissions) {
    agent_.add_remote_candidate(host(kPeer));
    int sent = 0;
    while (const auto when = agent_.next_timeout()) {
        if (*when > clock_.now()) clock_.advance(*when - clock_.now());
        agent_.handle_timeout(clock_.now());
        while (agent_.poll_output()) ++sent;
        ASSERT_LE(sent, 7);
    }
    EXPECT_EQ(sent, 7);
    // A check of the peer's own begins anew.
    validate(kPeer, 1, true);
    EXPECT_EQ(agent_.state(), IceState::kConnected);
}

TEST_F(ScriptedPeer, IsNotCheckedWithoutCredentialsOrFamily) {
    IceOptions v4_only = options(IceRole::kControlled, kWorkerCredentials);
    v4_only.ipv6 = false;
    IceAgent agent(v4_only, random_);
    agent.add_remote_candidate(host(address("2001:db8::1", 5)));
    EXPECT_EQ(agent.pair_count(), 0u);
    agent.add_remote_candidate(host(kPeer));
    EXPECT_FALSE(agent.next_timeout());
    agent.set_remote_credentials(kPeerCredentials);
    EXPECT_TRUE(agent.next_timeout());
}

TEST_F(ScriptedPeer, AnswersFromTheAddressThatWasAsked) {
    const IpAddress second = *IpAddress::parse("192.0.2.77");
    StunBuilder builder = request();
    agent_.handle_datagram(clock_.now(), {second, kPeer}, signed_request(builder));
    const auto out = agent_.poll_output();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->path.local, second);
    const Result<StunMessage> message = parse_stun(out->bytes);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->mapped_address, kPeer);
    EXPECT_TRUE(message->has_fingerprint);
    EXPECT_TRUE(verify_integrity(out->bytes, *message, kWorkerCredentials.password));
}

}  // namespace
}  // namespace kollator::rtc
