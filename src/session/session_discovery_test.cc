#include <gmock/gmock.h>

#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::MessageType;
using protocol::WireError;

class FakeDiscovery final : public Discovery {
 public:
    std::uint16_t announce(const std::vector<ChunkId>& ids) override {
        announced.insert(announced.end(), ids.begin(), ids.end());
        return accept;
    }
    void look_up(const ChunkId& id, OnPeers on_done) override {
        asked.push_back(id);
        waiting.push_back(std::move(on_done));
    }
    std::uint16_t accept = 0;
    std::vector<ChunkId> announced;
    std::vector<ChunkId> asked;
    std::vector<OnPeers> waiting;
};

class SessionDiscoveryTest : public SessionTest {
 protected:
    SessionDiscoveryTest() { discovery = &dht; }
    void look_up(std::uint32_t id) { send(MessageType::kDhtLookup, id, protocol::LookupRequest{}); }
    void announce(std::uint32_t id, std::size_t names) {
        send(MessageType::kDhtAnnounce, id, protocol::AnnounceRequest{std::vector<ChunkId>(names)});
    }
    /// What was answered to a request, once everything has settled.
    Answer answer_to(std::uint32_t id) {
        settle();
        for (Answer& each : answers()) all_.push_back(std::move(each));
        for (const Answer& each : all_) {
            if (each.header.request_id == protocol::RequestId{id}) return each;
        }
        ADD_FAILURE() << "no answer to request " << id;
        return {};
    }
    FakeDiscovery dht;
    std::vector<Answer> all_;
};

TEST_F(SessionDiscoveryTest, ALookUpIsAnsweredWithThePeersThatFitTheMessage) {
    start();
    look_up(1);
    ASSERT_EQ(dht.waiting.size(), 1U);
    protocol::PeerAddress peer;
    peer.address = {192, 0, 2, 1};
    peer.port = 8081;
    dht.waiting[0](std::vector<protocol::PeerAddress>(300, peer));
    const Answer got = answer_to(1);
    const auto& found = std::get<protocol::LookupAnswer>(got.body);
    ASSERT_EQ(found.peers.size(), limits.max_lookup_peers);
    EXPECT_EQ(found.peers[0], peer);
}

TEST_F(SessionDiscoveryTest, FailuresSayWhatToDo) {
    start();
    for (std::uint32_t id = 1; id <= 3; ++id) look_up(id);
    dht.waiting[0](make_error(ErrorCode::kLimit, "too many look-ups"));
    dht.waiting[1](make_error(ErrorCode::kUnavailable, "no node of the DHT is known yet"));
    dht.waiting[2](make_error(ErrorCode::kTimeout, "no node of the DHT answered"));
    EXPECT_EQ(answer_to(1).error(), WireError::kBusy);
    EXPECT_EQ(answer_to(2).error(), WireError::kUnavailable);
    EXPECT_EQ(answer_to(3).error(), WireError::kUnavailable);
}

TEST_F(SessionDiscoveryTest, AClientThatAsksTooMuchIsToldWhenToComeBack) {
    limits.lookup_burst = 3;
    limits.lookups_per_second = 2;
    start();
    for (std::uint32_t id = 1; id <= 4; ++id) look_up(id);
    const Answer busy = answer_to(4);
    EXPECT_EQ(dht.asked.size(), 3U);
    ASSERT_EQ(busy.error(), WireError::kBusy);
    const auto wait_ms = std::get<protocol::ErrorBody>(busy.body).retry_after_ms;
    EXPECT_GE(wait_ms, 499U);
    EXPECT_LE(wait_ms, 502U);
    clock.advance(std::chrono::milliseconds(wait_ms));
    look_up(5);
    EXPECT_EQ(dht.asked.size(), 4U);
}

TEST_F(SessionDiscoveryTest, NamesAreAnnouncedUpToTheAllowance) {
    limits.announce_burst = 10;
    dht.accept = 7;
    start();
    announce(1, 8);
    announce(2, 8);
    announce(3, 11);
    EXPECT_EQ(std::get<protocol::AnnounceAnswer>(answer_to(1).body).accepted, 7);
    EXPECT_EQ(answer_to(2).error(), WireError::kBusy);
    EXPECT_EQ(answer_to(3).error(), WireError::kTooLarge);
    EXPECT_EQ(dht.announced.size(), 8U);
}

TEST_F(SessionDiscoveryTest, MalformedOnesAndCancelledOnesEnd) {
    start();
    receive(protocol::encode_message({MessageType::kDhtLookup, {}, protocol::RequestId{1}}));
    look_up(2);
    cancel(2);
    dht.waiting[0](std::vector<protocol::PeerAddress>());
    EXPECT_EQ(answer_to(1).error(), WireError::kBadRequest);
    EXPECT_EQ(answer_to(2).error(), WireError::kCancelled);
    EXPECT_EQ(all_.size(), 2U) << "and nothing after it";
}

TEST_F(SessionDiscoveryTest, WithoutTheDhtItIsUnsupported) {
    discovery = nullptr;
    start();
    look_up(1);
    EXPECT_EQ(answer_to(1).error(), WireError::kUnsupported);
}

}  // namespace
}  // namespace kollator::session
