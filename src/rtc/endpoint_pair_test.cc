#include "rtc/testing/endpoint_pair.h"

#include <gmock/gmock.h>

#include "rtc/sdp/description.h"
#include "rtc/testing/peer_socket.h"
#include "rtc/testing/rebinding_relay.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OfferTest : public EndpointPairTest {};

TEST_F(OfferTest, ConnectsWithWhatAnswers) {
    open();
    const auto [client, worker] = connect();
    EXPECT_TRUE(echoes("first"));
    EXPECT_THAT(worker_heard_.opened, ElementsAre("kollator"));
    EXPECT_THAT(client_heard_.opened, ElementsAre("kollator"));
    EXPECT_EQ(client_heard_.channel->protocol(), "v1");
    // Both know whom they talk to.
    ASSERT_EQ(client_->peers().size(), 1u);
    EXPECT_EQ(client_->peers()[0].remote_fingerprint, worker_certificate_.fingerprint());
    EXPECT_EQ(worker_->peers()[0].remote_fingerprint, client_certificate_.fingerprint());

    client_->close(client, "enough");
    ASSERT_TRUE(wait_for([&] { return worker_heard_.closed == 1 && client_heard_.closed == 1; }));
    EXPECT_EQ(client_heard_.reason, "enough");
    ASSERT_TRUE(wait_for([&] { return worker_->peers().empty(); }));
    EXPECT_EQ(worker_->open_channel(worker, {}).error().code, ErrorCode::kNotFound);
}

TEST_F(OfferTest, OpensChannelsBeforeAndAfterIsConnected) {
    open();
    const auto [client, worker] = connect();
    ASSERT_TRUE(echoes("x"));
    ASSERT_TRUE(
        client_->open_channel(client, {.label = "second", .protocol = {}, .ordered = false}).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.opened.size() == 2; }));
    EXPECT_TRUE(echoes("on the second"));
    // The answerer may open some, too.
    ASSERT_TRUE(worker_->open_channel(worker, {.label = "from the worker", .protocol = {}}).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.opened.size() == 3; }));
    EXPECT_EQ(client_heard_.opened.back(), "from the worker");
}

TEST_F(OfferTest, HoldsChannelsToTheirBounds) {
    open();
    const Result<LocalOffer> offer = client_->offer(client_peer());
    ASSERT_TRUE(offer.ok());
    const ChannelOptions long_label{.label = std::string(1025, 'x'), .protocol = {}};
    EXPECT_EQ(client_->open_channel(offer->peer, long_label).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(client_->open_channel(99, {}).error().code, ErrorCode::kNotFound);
    Status status;
    for (int i = 0; i < 1000 && status.ok(); ++i) status = client_->open_channel(offer->peer, {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kLimit);
    client_->close(offer->peer, "no more");
    EXPECT_EQ(client_->open_channel(offer->peer, {}).error().code, ErrorCode::kCancelled);
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 1; }));
    EXPECT_EQ(client_heard_.reason, "no more");
}

TEST_F(OfferTest, TakesOneGoodAnswer) {
    open();
    const Result<LocalOffer> offer = client_->offer(client_peer());
    const Result<Answer> answer = worker_->accept(offer->sdp, worker_peer());
    EXPECT_EQ(client_->accept_answer(99, answer->sdp).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(client_->accept_answer(offer->peer, "rubbish").error().code, ErrorCode::kInvalid);
    EXPECT_EQ(client_->accept_answer(offer->peer, "v=0\r\n").error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
    EXPECT_EQ(client_->accept_answer(offer->peer, answer->sdp).error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(wait_for([&] { return client_heard_.connected == 1; }));
}

TEST_F(OfferTest, RefusesTheAnswerOfWhomItIsConnectedWith) {
    worker_options_.include_loopback = true;
    open();
    connect();
    const Result<LocalOffer> second = client_->offer(client_peer());
    const Result<Answer> answer = worker_->accept(second->sdp, worker_peer());
    const Status accepted = client_->accept_answer(second->peer, answer->sdp);
    ASSERT_FALSE(accepted.ok());
    EXPECT_EQ(accepted.error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(echoes("the first lives"));
    // Another worker may have the same address, in a network of its own.
    std::string elsewhere = answer->sdp;
    const std::string text = worker_certificate_.fingerprint_text();
    elsewhere.replace(elsewhere.find(text), text.size(), client_certificate_.fingerprint_text());
    EXPECT_TRUE(client_->accept_answer(second->peer, elsewhere).ok());
}

TEST_F(OfferTest, ConnectsWhereTheAnswererBeginsTheHandshake) {
    open();
    const Result<LocalOffer> offer = client_->offer(client_peer());
    std::string passive = offer->sdp;
    passive.replace(passive.find("actpass"), 7, "passive");
    const Result<Answer> answer = worker_->accept(passive, worker_peer());
    ASSERT_THAT(answer->sdp, HasSubstr("a=setup:active\r\n"));
    ASSERT_TRUE(client_->open_channel(offer->peer, {.label = "kollator", .protocol = {}}).ok());
    ASSERT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
    EXPECT_TRUE(echoes("hello"));
}

TEST_F(OfferTest, GivesUpWithoutAnAnswer) {
    client_options_.connect_timeout = milliseconds(50);
    client_options_.max_connections = 1;
    open();
    ASSERT_TRUE(client_->offer(client_peer()).ok());
    EXPECT_EQ(client_->offer(client_peer()).error().code, ErrorCode::kLimit);
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 1; }));
    EXPECT_EQ(client_heard_.reason, "connect timeout");
}

TEST_F(OfferTest, RefusesAnotherCertificateThanTheAnswerNames) {
    open();
    const Result<LocalOffer> offer = client_->offer(client_peer());
    Result<Answer> answer = worker_->accept(offer->sdp, worker_peer());
    const std::string text = worker_certificate_.fingerprint_text();
    answer->sdp.replace(answer->sdp.find(text), text.size(),
                        client_certificate_.fingerprint_text());
    ASSERT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 1; }));
    EXPECT_THAT(client_heard_.reason, HasSubstr("fingerprint"));
    EXPECT_EQ(client_heard_.connected, 0);
}

class DirectDialTest : public EndpointPairTest {
 protected:
    void open_for_dialing() {
        open();
        worker_->accept_direct([this](PeerId) { return worker_peer(); });
    }
    DirectAddress address() { return worker_->direct_addresses().at(0); }
};

TEST_F(DirectDialTest, NeedsNothingButTheAddress) {
    open_for_dialing();
    EXPECT_THAT(
        format_direct_address(address()),
        HasSubstr("/ip4/127.0.0.1/udp/" + std::to_string(worker_->port()) + "/webrtc-direct"));
    const Result<PeerId> peer = client_->dial(address(), client_peer());
    ASSERT_TRUE(peer.ok());
    ASSERT_TRUE(client_->open_channel(*peer, {.label = "kollator", .protocol = {}}).ok());
    EXPECT_TRUE(echoes("hello"));
    EXPECT_EQ(worker_->peers().at(0).remote_fingerprint, client_certificate_.fingerprint());
    client_->close(*peer, "enough");
    EXPECT_TRUE(wait_for([&] { return worker_heard_.closed == 1; }));
    EXPECT_TRUE(wait_for([&] { return worker_->peers().empty(); }));
}

TEST_F(DirectDialTest, FailsWithAnotherCertificateThanTheAddressNames) {
    open_for_dialing();
    DirectAddress wrong = address();
    wrong.certificate[0] ^= 1;
    ASSERT_TRUE(client_->dial(wrong, client_peer()).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 1; }));
    EXPECT_THAT(client_heard_.reason, HasSubstr("fingerprint"));
    EXPECT_EQ(worker_heard_.connected, 0);
}

TEST_F(DirectDialTest, IsNotAnsweredWhereNobodyTakesIt) {
    client_options_.direct_timeout = milliseconds(200);
    open();
    EXPECT_TRUE(worker_->direct_addresses().empty());
    const DirectAddress where{{*IpAddress::parse("127.0.0.1"), worker_->port()},
                              worker_certificate_.fingerprint()};
    ASSERT_TRUE(client_->dial(where, client_peer()).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 1; }));
    EXPECT_TRUE(worker_->peers().empty());
    // Refused by the acceptor, and past the gate's rate: the same.
    worker_->accept_direct([](PeerId) { return nullptr; });
    ASSERT_TRUE(client_->dial(where, client_peer()).ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.closed == 2; }));
    EXPECT_EQ(worker_->stats().pending, 0u);
}

TEST_F(DirectDialTest, RefusesASecondConnectionToAnAddressWhileTheFirstLives) {
    open_for_dialing();
    const Result<PeerId> first = client_->dial(address(), client_peer());
    ASSERT_TRUE(client_->open_channel(*first, {.label = "kollator", .protocol = {}}).ok());
    for (int i = 0; i < 2; ++i) {
        const Result<PeerId> second = client_->dial(address(), client_peer());
        ASSERT_FALSE(second.ok());
        EXPECT_EQ(second.error().code, ErrorCode::kCancelled);
        EXPECT_THAT(second.error().detail,
                    HasSubstr("a connection to " + address().address.text() + " already"));
        EXPECT_TRUE(echoes("the first lives"));
    }
    // Nor the other way: the worker's endpoint has that connection, too.
    worker_->accept_direct({});
    client_->accept_direct([this](PeerId) { return client_peer(); });
    EXPECT_EQ(worker_->dial(client_->direct_addresses().at(0), worker_peer()).error().code,
              ErrorCode::kCancelled);

    worker_->accept_direct([this](PeerId) { return worker_peer(); });
    client_->close(*first, "enough");
    client_heard_.channel = nullptr;
    const Result<PeerId> next = client_->dial(address(), client_peer());
    ASSERT_TRUE(next.ok());
    ASSERT_TRUE(client_->open_channel(*next, {.label = "kollator", .protocol = {}}).ok());
    EXPECT_TRUE(echoes("the next one"));
}

TEST_F(DirectDialTest, IsHeldToItsRate) {
    worker_options_.direct = {.per_second = 1000, .per_source_per_second = 1};
    open_for_dialing();
    std::vector<std::unique_ptr<Endpoint>> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(open(client_certificate_, client_options_));
        ASSERT_TRUE(clients.back()->dial(address(), client_peer()).ok());
    }
    // Five checks have come, a few milliseconds apart; at most one turn of the second lies between.
    ASSERT_TRUE(wait_for([&] { return worker_->stats().packets_received >= 5; }));
    EXPECT_GE(worker_->peers().size(), 1u);
    EXPECT_LE(worker_->peers().size(), 2u);
}

TEST_F(DirectDialTest, AnswersFromTheAddressThatWasDialed) {
    // The kernel would answer 127.0.0.2 from 127.0.0.1, which no ICE agent would take.
    for (const char* any : {"0.0.0.0", "::"}) {
        worker_options_.bind_address = any;
        worker_options_.include_loopback = true;
        open_for_dialing();
        client_heard_ = {};
        const DirectAddress second{{*IpAddress::parse("127.0.0.2"), worker_->port()},
                                   worker_certificate_.fingerprint()};
        const Result<PeerId> peer = client_->dial(second, client_peer());
        ASSERT_TRUE(peer.ok());
        ASSERT_TRUE(client_->open_channel(*peer, {.label = "kollator", .protocol = {}}).ok());
        ASSERT_TRUE(echoes("hello")) << any;
        EXPECT_EQ(client_->peers().at(0).remote_address, second.address.text());
    }
}

TEST_F(DirectDialTest, RefusesAFamilyThatTheSocketHasNot) {
    open();
    const DirectAddress v6{{*IpAddress::parse("::1"), 9}, {}};
    EXPECT_EQ(client_->dial(v6, client_peer()).error().code, ErrorCode::kInvalid);
}

class RebindingTest : public EndpointPairTest {
 protected:
    /// Dials the worker through a NAT.
    void dial_through(RebindingRelay& relay) {
        worker_->accept_direct([this](PeerId) { return worker_peer(); });
        const DirectAddress seen{{*IpAddress::parse("127.0.0.1"), relay.port()},
                                 worker_certificate_.fingerprint()};
        const Result<PeerId> peer = client_->dial(seen, client_peer());
        ASSERT_TRUE(peer.ok());
        ASSERT_TRUE(client_->open_channel(*peer, {.label = "kollator", .protocol = {}}).ok());
        ASSERT_TRUE(echoes("before"));
    }
};

TEST_F(RebindingTest, IsSurvivedByDataAlone) {
    open();
    RebindingRelay relay(worker_->port());
    dial_through(relay);
    const std::string before = worker_->peers().at(0).remote_address;
    // No check of the client's gets through: its data must tell where it is.
    relay.rebind(true);
    EXPECT_TRUE(echoes("after"));
    EXPECT_NE(worker_->peers().at(0).remote_address, before);
    EXPECT_EQ(worker_heard_.closed + client_heard_.closed, 0);
}

TEST_F(RebindingTest, MovesNobodyElse) {
    open();
    RebindingRelay relay(worker_->port());
    dial_through(relay);
    const std::string before = worker_->peers().at(0).remote_address;
    // Somebody at the client's address sends what looks like its data, and is asked who it is.
    PeerSocket stranger(worker_->port());
    Bytes record(100, 0);
    record[0] = 23;
    stranger.send(record);
    std::optional<StunMessage> got;
    ASSERT_TRUE(wait_for([&] { return (got = stranger.receive()).has_value(); }));
    EXPECT_EQ(got->message_class, StunClass::kRequest);
    // An answer by somebody who does not know the password is none.
    stranger.send(StunBuilder(StunClass::kSuccess, kStunBinding, got->transaction)
                      .integrity("guessed")
                      .fingerprint()
                      .finish());
    const std::uint64_t sent = worker_->stats().packets_sent;
    stranger.send(record);
    stranger.send(ByteSpan(record).first(20));
    EXPECT_TRUE(echoes("after"));
    EXPECT_EQ(worker_->peers().at(0).remote_address, before);
    EXPECT_GT(worker_->stats().packets_sent, sent);
}

class RestartTest : public EndpointPairTest {};

TEST_F(RestartTest, KeepsWhatRunsAboveIce) {
    open();
    const auto [client, worker] = connect();
    ASSERT_TRUE(echoes("before"));
    // The client asks for new paths by a fragment each way.
    const IceCredentials fresh{"freshABC", "freshpasswordfreshpasswo"};
    const Result<std::string> fragment = worker_->restart_ice(worker, fresh);
    ASSERT_TRUE(fragment.ok());
    EXPECT_THAT(*fragment, HasSubstr("a=ice-ufrag:"));
    EXPECT_EQ(*worker_->restart_ice(worker, fresh), "");
    // The old path works until there is another one.
    EXPECT_TRUE(echoes("between"));
    EXPECT_EQ(worker_heard_.closed, 0);
    EXPECT_EQ(worker_->restart_ice(99, fresh).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(worker_->restart_ice(worker, {"x", fresh.password}).error().code,
              ErrorCode::kInvalid);
}

TEST_F(RestartTest, KeepsTheOldPathWhereThePeerDoesNotFollow) {
    worker_options_.connect_timeout = milliseconds(500);
    open();
    const auto [client, worker] = connect();
    const IceCredentials fresh{"freshABC", "freshpasswordfreshpasswo"};
    ASSERT_TRUE(worker_->restart_ice(worker, fresh).ok());
    // The credentials are the peer's until the restart has failed, and then new again.
    ASSERT_TRUE(wait_for([&] {
        const Result<std::string> again = worker_->restart_ice(worker, fresh);
        return !again.ok() || !again->empty();
    }));
    EXPECT_EQ(worker_heard_.closed, 0);
    EXPECT_TRUE(echoes("after"));
}

TEST_F(RestartTest, IsHeldToARate) {
    open();
    const auto [client, worker] = connect();
    int restarts = 0;
    Status status;
    while (status.ok() && restarts < 100) {
        const std::string ufrag = "fresh" + std::to_string(100 + restarts);
        const auto restarted = worker_->restart_ice(worker, {ufrag, "freshpasswordfreshpasswo"});
        status = restarted.ok() ? Status() : Status(restarted.error());
        restarts += status.ok() ? 1 : 0;
    }
    EXPECT_EQ(restarts, 5);
    EXPECT_EQ(status.error().code, ErrorCode::kLimit);
    EXPECT_TRUE(echoes("all the same"));
}

TEST_F(RestartTest, TellsAnOfferOfTheSameConnectionFromAnother) {
    open();
    const Result<LocalOffer> offer = client_->offer(client_peer());
    const Result<Answer> answer = worker_->accept(offer->sdp, worker_peer());
    ASSERT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
    ASSERT_TRUE(wait_for([&] { return worker_heard_.connected == 1; }));
    // The same credentials: no restart.
    const Result<Answer> same = worker_->renegotiate(answer->peer, offer->sdp);
    ASSERT_TRUE(same.ok()) << same.error().detail;
    EXPECT_EQ(parse_answer(same->sdp)->ice, parse_answer(answer->sdp)->ice);
    EXPECT_THAT(same->sdp, HasSubstr(" 2 IN IP4"));
    // New ones: a restart.
    std::string fresh = offer->sdp;
    const std::string ufrag = parse_offer(offer->sdp)->ice.ufrag;
    fresh.replace(fresh.find(ufrag), ufrag.size(), "freshABC");
    const Result<Answer> restarted = worker_->renegotiate(answer->peer, fresh);
    ASSERT_TRUE(restarted.ok()) << restarted.error().detail;
    EXPECT_NE(parse_answer(restarted->sdp)->ice, parse_answer(answer->sdp)->ice);
    EXPECT_EQ(parse_answer(restarted->sdp)->session_id, parse_answer(answer->sdp)->session_id);

    const Result<LocalOffer> other = client_->offer(client_peer());
    EXPECT_EQ(worker_->renegotiate(answer->peer, other->sdp).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(worker_->renegotiate(answer->peer, "rubbish").error().code, ErrorCode::kInvalid);
    EXPECT_EQ(worker_->renegotiate(99, offer->sdp).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace kollator::rtc
