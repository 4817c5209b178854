#include "rtc/peer_hub.h"

#include <algorithm>
#include <set>

#include "rtc/testing/endpoint_pair.h"

namespace kollator::rtc {
namespace {

constexpr std::size_t kMegabyte = 1024 * 1024;

/// A client with a socket of its own, and what it heard.
struct Client {
    std::unique_ptr<Endpoint> endpoint;
    std::unique_ptr<Heard> heard = std::make_unique<Heard>();
    PeerId peer = 0;    ///< at the client
    PeerId at_hub = 0;  ///< where it came by offer and answer
};

/// The hub and its clients on one loop, over real sockets on loopback.
class PeerHubTest : public ::testing::TestWithParam<std::size_t> {
 protected:
    PeerHubTest()
        : client_certificate_(*Certificate::generate(1'763'800'000)),
          worker_certificate_(*Certificate::generate(1'763'800'000)) {
        options_.bind_address = "127.0.0.1";
        client_options_.bind_address = "127.0.0.1";
    }

    void open() {
        auto opened = open_peer_hub(loop_, system_clock(), crypto::system_random(),
                                    worker_certificate_, options_, GetParam());
        ASSERT_TRUE(opened.ok()) << opened.error().detail;
        hub_ = std::move(*opened);
    }
    /// Echoes, and counts for all connections.
    std::unique_ptr<PeerObserver> hub_peer() { return std::make_unique<HearingPeer>(heard_, true); }

    Client new_client() {
        Client client;
        client.endpoint = *open_endpoint(loop_, system_clock(), crypto::system_random(),
                                         client_certificate_, client_options_);
        return client;
    }
    /// By offer and answer, with a channel; not waited for.
    Client call() {
        Client client = new_client();
        const auto offer =
            client.endpoint->offer(std::make_unique<HearingPeer>(*client.heard, false));
        client.peer = offer->peer;
        EXPECT_TRUE(client.endpoint->open_channel(offer->peer, {"kollator", "v1"}).ok());
        bool answered = false;
        client.at_hub = hub_->accept(offer->sdp, hub_peer(), [&](const auto& answer) {
            answered = true;
            ASSERT_TRUE(answer.ok()) << answer.error().detail;
            EXPECT_TRUE(client.endpoint->accept_answer(offer->peer, answer->sdp).ok());
        });
        EXPECT_TRUE(wait_for([&] { return answered; }));
        return client;
    }
    Client connect() {
        const std::size_t before = heard_.opened.size();
        Client client = call();
        EXPECT_TRUE(wait_for(
            [&] { return client.heard->channel != nullptr && heard_.opened.size() > before; }));
        return client;
    }
    bool wait_for(const std::function<bool()>& done) {
        return loop_.run_until(done, std::chrono::seconds(60));
    }
    bool echoes(Client& client, const std::string& text) {
        const std::size_t before = client.heard->messages.size();
        if (!client.heard->channel->send({}, as_bytes(text)).ok()) return false;
        return wait_for([&] { return client.heard->messages.size() > before; }) &&
               client.heard->messages.back() == text;
    }
    const HubReport& report() {
        bool done = false;
        hub_->refresh([&] { done = true; });
        EXPECT_TRUE(wait_for([&] { return done; }));
        return hub_->report();
    }
    Error refusal_of(std::string_view sdp) {
        std::optional<Error> error;
        hub_->accept(sdp, hub_peer(),
                     [&](const auto& answer) { error = answer.ok() ? Error{} : answer.error(); });
        EXPECT_TRUE(wait_for([&] { return error.has_value(); }));
        return *error;
    }

    EventLoop loop_;
    Certificate client_certificate_;
    Certificate worker_certificate_;
    EndpointOptions options_;
    EndpointOptions client_options_;
    Heard heard_;
    std::unique_ptr<PeerHub> hub_;
};

INSTANTIATE_TEST_SUITE_P(Shards, PeerHubTest, ::testing::Values(1, 2, 3));

TEST_P(PeerHubTest, SpreadsConnectionsOverItsSocketsAndCountsThem) {
    open();
    std::vector<Client> clients;
    for (std::size_t i = 0; i < 2 * GetParam(); ++i) clients.push_back(connect());
    EXPECT_EQ(hub_->counts().active, clients.size());
    EXPECT_EQ(hub_->counts().total, clients.size());
    std::set<PeerId> ids;
    for (Client& client : clients) {
        EXPECT_TRUE(echoes(client, "to " + std::to_string(client.at_hub)));
        EXPECT_EQ(hub_->peer_fingerprint(client.at_hub), client_certificate_.fingerprint());
        ids.insert(client.at_hub);
    }
    EXPECT_EQ(ids.size(), clients.size());

    std::set<std::uint16_t> ports;
    EXPECT_EQ(report().total.active, clients.size());
    ASSERT_EQ(hub_->report().shards.size(), GetParam());
    for (const ShardReport& shard : hub_->report().shards) {
        EXPECT_EQ(shard.stats.active, 2U) << shard.port;
        EXPECT_EQ(shard.stats.total, 2U);
        EXPECT_GT(shard.stats.bytes_received, 0U);
        ports.insert(shard.port);
    }
    EXPECT_EQ(ports.size(), GetParam());
    EXPECT_EQ(hub_->port(), hub_->report().shards.front().port);
    EXPECT_EQ(hub_->report().candidates.size(), GetParam());

    for (const Client& client : clients) hub_->close(client.at_hub, "enough");
    EXPECT_TRUE(wait_for([&] { return heard_.closed == static_cast<int>(clients.size()); }));
    EXPECT_EQ(heard_.reason, "enough");
    EXPECT_EQ(hub_->counts().active, 0U);
    EXPECT_EQ(hub_->counts().total, clients.size());
    EXPECT_EQ(report().total.active, 0U);
}

TEST_P(PeerHubTest, CarriesMessagesOfEverySize) {
    open();
    Client client = connect();
    char letter = 'a';
    for (const std::size_t size : {1U, 0U, 17U, 1200U, 65536U, 262144U, 2U}) {
        const std::string text(size, letter++);
        EXPECT_TRUE(echoes(client, text)) << size;
        EXPECT_TRUE(heard_.messages.back() == text) << size;
    }
}

TEST_P(PeerHubTest, EndsConnectionsAndChannelsFromEitherSide) {
    open();
    Client first = connect();
    Client second = connect();
    // The hub's side of the second one's channel is the latest.
    ASSERT_NE(heard_.channel, nullptr);
    heard_.channel->close();
    EXPECT_EQ(heard_.channel->send({}, as_bytes("late")).error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(wait_for([&] { return second.heard->channel == nullptr; }));
    EXPECT_EQ(second.heard->closed, 0);

    first.endpoint->close(first.peer, "done");
    EXPECT_TRUE(wait_for([&] { return heard_.closed == 1; }));
    EXPECT_EQ(heard_.reason, "peer closed");
    EXPECT_FALSE(hub_->peer_fingerprint(first.at_hub).has_value());
    hub_->close_all("drained");
    EXPECT_TRUE(wait_for([&] { return heard_.closed == 2 && second.heard->closed == 1; }));
    hub_->close(second.at_hub, "again");  // gone already
}

TEST_P(PeerHubTest, TakesDirectDialAtEverySocket) {
    open();
    EXPECT_TRUE(hub_->direct_addresses().empty());
    std::set<PeerId> ids;
    hub_->accept_direct([&](PeerId peer) {
        ids.insert(peer);
        return hub_peer();
    });
    const auto addresses = hub_->direct_addresses();
    ASSERT_EQ(addresses.size(), GetParam());
    EXPECT_EQ(addresses.front().address.port, hub_->port());
    for (const DirectAddress& address : addresses) {
        Client client = new_client();
        const auto peer =
            client.endpoint->dial(address, std::make_unique<HearingPeer>(*client.heard, false));
        ASSERT_TRUE(client.endpoint->open_channel(*peer, {"kollator", "v1"}).ok());
        ASSERT_TRUE(wait_for([&] { return client.heard->channel != nullptr; }));
        EXPECT_TRUE(echoes(client, "direct"));
        report();
        const auto shard =
            std::find_if(hub_->report().shards.begin(), hub_->report().shards.end(),
                         [&](const auto& each) { return each.port == address.address.port; });
        EXPECT_EQ(shard->stats.total, 1U);
    }
    EXPECT_EQ(ids.size(), GetParam());
    EXPECT_EQ(hub_->counts().total, GetParam());
}

TEST_P(PeerHubTest, RefusesDirectDialThatNobodyWants) {
    options_.direct_timeout = std::chrono::milliseconds(500);
    client_options_.direct_timeout = std::chrono::milliseconds(500);
    open();
    hub_->accept_direct([](PeerId) { return nullptr; });
    Client client = new_client();
    ASSERT_TRUE(client.endpoint
                    ->dial(hub_->direct_addresses().back(),
                           std::make_unique<HearingPeer>(*client.heard, false))
                    .ok());
    EXPECT_TRUE(wait_for([&] { return client.heard->closed == 1; }));
    EXPECT_EQ(client.heard->connected, 0);
    EXPECT_EQ(hub_->counts().total, 0U);
    EXPECT_TRUE(wait_for([&] { return report().total.pending == 0; }));
}

TEST_P(PeerHubTest, BoundsConnectionsOfAllSocketsTogether) {
    options_.max_connections = 3;
    open();
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(connect());
    Client one_more = new_client();
    const auto offer =
        one_more.endpoint->offer(std::make_unique<HearingPeer>(*one_more.heard, false));
    EXPECT_EQ(refusal_of(offer->sdp).code, ErrorCode::kLimit);
    hub_->close(clients.back().at_hub, "room");
    EXPECT_TRUE(wait_for([&] { return heard_.closed == 1; }));
    // The shard counts it out a moment after it told.
    EXPECT_TRUE(wait_for([&] { return report().total.active == 2; }));
    connect();
}

TEST_P(PeerHubTest, RefusesOffersAndPeersThatAreNone) {
    open();
    EXPECT_EQ(refusal_of("nonsense").code, ErrorCode::kInvalid);
    EXPECT_EQ(report().total.pending, 0U);

    std::vector<ErrorCode> codes;
    const auto note = [&](const auto& result) {
        codes.push_back(result.ok() ? ErrorCode::kInternal : result.error().code);
    };
    hub_->renegotiate(4711, "v=0", note);
    hub_->restart_ice(4711, {"abcd", "0123456789012345678901"}, note);
    hub_->add_remote_candidates(4711, {""}, note);
    Client client = connect();
    hub_->add_remote_candidates(client.at_hub, {"", "candidate:nonsense"}, note);
    hub_->restart_ice(client.at_hub, {"ab", "short"}, note);
    EXPECT_TRUE(wait_for([&] { return codes.size() == 5; }));
    EXPECT_EQ(codes, (std::vector<ErrorCode>{ErrorCode::kNotFound, ErrorCode::kNotFound,
                                             ErrorCode::kNotFound, ErrorCode::kInvalid,
                                             ErrorCode::kInvalid}));
}

TEST_P(PeerHubTest, RestartsIceOnTheSameSocket) {
    open();
    Client client = connect();
    std::optional<Result<std::string>> fragment;
    hub_->restart_ice(client.at_hub, {"abcd", "0123456789012345678901"},
                      [&](const auto& result) { fragment = result; });
    EXPECT_TRUE(wait_for([&] { return fragment.has_value(); }));
    ASSERT_TRUE(fragment->ok());
    EXPECT_NE((*fragment)->find("a=ice-ufrag:"), std::string::npos);
    EXPECT_TRUE(echoes(client, "still here"));
}

TEST_P(PeerHubTest, AnswersEveryoneWhoAsksHowItStands) {
    open();
    Client client = connect();
    int answered = 0;
    hub_->refresh([&] {
        ++answered;
        hub_->refresh([&] { ++answered; });
    });
    hub_->refresh([&] { ++answered; });
    EXPECT_TRUE(wait_for([&] { return answered == 3; }));
}

TEST_P(PeerHubTest, HoldsBackWhatAPeerDoesNotRead) {
    options_.buffer_budget_bytes = client_options_.buffer_budget_bytes = 16 * kMegabyte;
    open();
    Client client = connect();
    client.endpoint->set_reading(client.peer, false);
    const std::string block(64 * 1024, 'x');
    const std::size_t total = 32 * kMegabyte;
    std::size_t sent = 0;
    const auto fill = [&] {
        while (sent < total && heard_.channel->send({}, as_bytes(block)).ok()) sent += block.size();
    };
    // It ends somewhere, with the client's window and our buffers full: half of the total.
    loop_.run_until(
        [&] {
            fill();
            return sent > total / 2;
        },
        std::chrono::milliseconds(500));
    EXPECT_LE(sent, total / 2);
    EXPECT_GT(heard_.channel->buffered_bytes(), 0U);
    EXPECT_EQ(client.heard->messages.size(), 0U);
    EXPECT_GE(client.endpoint->stats().unread_bytes, block.size());

    client.endpoint->set_reading(client.peer, true);
    EXPECT_TRUE(wait_for([&] {
        fill();
        return client.heard->messages.size() == total / block.size();
    }));
    EXPECT_EQ(client.endpoint->stats().unread_bytes, 0U);
}

}  // namespace
}  // namespace kollator::rtc
