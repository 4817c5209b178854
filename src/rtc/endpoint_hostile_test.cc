// What somebody on the path, or a stranger, cannot do to an endpoint and its connections.
#include <gmock/gmock.h>

#include <memory>
#include <vector>

#include "rtc/sdp/description.h"
#include "rtc/testing/endpoint_pair.h"
#include "rtc/testing/peer_socket.h"

namespace kollator::rtc {
namespace {

class ReplayTest : public EndpointPairTest {
 protected:
    /// Connects, and gives what somebody who reads the signaling knows: enough to make a check of
    /// the client's.
    void connect_and_listen() {
        const Result<LocalOffer> offer = client_->offer(client_peer());
        ASSERT_TRUE(client_->open_channel(offer->peer, {.label = "kollator", .protocol = {}}).ok());
        const Result<Answer> answer = worker_->accept(offer->sdp, worker_peer());
        client_ufrag_ = parse_offer(offer->sdp)->ice.ufrag;
        worker_ice_ = parse_answer(answer->sdp)->ice;
        ASSERT_TRUE(client_->accept_answer(offer->peer, answer->sdp).ok());
        ASSERT_TRUE(echoes("before"));
    }

    std::string client_ufrag_;
    IceCredentials worker_ice_;
};

TEST_F(ReplayTest, FromManyPortsDeafensNobody) {
    open();
    connect_and_listen();
    std::vector<std::unique_ptr<PeerSocket>> ports;
    // More than a peer has routes, and fewer than an agent has pairs.
    for (int i = 0; i < 40; ++i) {
        ports.push_back(std::make_unique<PeerSocket>(worker_->port()));
        ports.back()->check(worker_ice_, client_ufrag_);
        // Each was authentic, and answered.
        ASSERT_TRUE(wait_for([&] { return ports.back()->receive().has_value(); }));
    }
    EXPECT_TRUE(echoes("after"));
}

class StrangerTest : public EndpointPairTest {
 protected:
    void open_for_dialing() {
        open();
        worker_->accept_direct([this](PeerId) { return worker_peer(); });
    }
};

TEST_F(StrangerTest, BringsAForgedSourceLittle) {
    worker_options_.direct_timeout = std::chrono::seconds(2);
    open_for_dialing();
    PeerSocket victim(worker_->port());
    victim.check(direct_credentials("0123456789abcdefghijkl"));
    ASSERT_TRUE(wait_for([&] { return !worker_->peers().empty(); }));
    ASSERT_TRUE(wait_for([&] { return worker_->peers().empty(); }));
    EXPECT_EQ(worker_heard_.reason, "connect timeout");
    // The answer, and two checks.
    EXPECT_EQ(worker_->stats().packets_sent, 3u);
    EXPECT_LE(worker_->stats().bytes_sent, 3 * worker_->stats().bytes_received);
}

TEST_F(StrangerTest, DialsWithAWholeCheckOrNotAtAll) {
    open_for_dialing();
    PeerSocket stranger(worker_->port());
    const IceCredentials dial = direct_credentials("0123456789abcdefghijkl");
    const auto check = [&] {
        return StunBuilder(StunClass::kRequest, kStunBinding, {1, 2, 3})
            .username(dial.ufrag + ":peer");
    };
    stranger.send(check().priority(1).integrity(dial.password).finish());
    stranger.send(check().ice_controlling(1).integrity(dial.password).finish());
    ASSERT_TRUE(wait_for([&] { return worker_->stats().packets_received == 2; }));
    EXPECT_TRUE(worker_->peers().empty());
    stranger.check(dial);
    EXPECT_TRUE(wait_for([&] { return worker_->peers().size() == 1; }));
}

TEST_F(StrangerTest, CannotFillTheWorker) {
    worker_options_.max_connections = 80;
    client_options_.max_connections = 80;
    open_for_dialing();
    PeerSocket stranger(worker_->port());
    const auto dial = [&](int number) {
        const std::string password = std::to_string(1000 + number) + "0123456789abcdefghijkl";
        stranger.check(direct_credentials(password));
    };
    const auto received = [&] { return worker_->stats().packets_received; };
    for (int i = 0; i < 40; ++i) {
        dial(i);
        ASSERT_TRUE(wait_for([&] { return received() == static_cast<std::uint64_t>(i) + 1; }));
    }
    // An eighth of 80, and the newest: who gave way may come again.
    ASSERT_TRUE(wait_for([&] { return worker_->peers().size() == 10; }));
    EXPECT_EQ(worker_heard_.reason, "gave way to others");
    EXPECT_EQ(worker_heard_.closed, 30);
    dial(0);
    ASSERT_TRUE(wait_for([&] { return worker_heard_.closed == 31; }));
    EXPECT_EQ(worker_->peers().size(), 10u);
    // Who answers checks gets in.
    const DirectAddress address = worker_->direct_addresses().at(0);
    const Result<PeerId> honest = client_->dial(address, client_peer());
    ASSERT_TRUE(honest.ok());
    ASSERT_TRUE(wait_for([&] { return client_heard_.connected == 1; }));
    for (int i = 100; i < 120; ++i) dial(i);
    ASSERT_TRUE(client_->open_channel(*honest, {.label = "kollator", .protocol = {}}).ok());
    EXPECT_TRUE(echoes("still there"));
    // And who comes by signaling finds the room that is left.
    for (int i = 0; i < 60; ++i) {
        const Result<LocalOffer> offer = client_->offer(client_peer());
        ASSERT_TRUE(offer.ok());
        EXPECT_TRUE(worker_->accept(offer->sdp, worker_peer()).ok()) << i;
    }
}

}  // namespace
}  // namespace kollator::rtc
