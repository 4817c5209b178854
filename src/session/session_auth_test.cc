// AUTH and sealed messages, as a session answers them.
#include <gmock/gmock.h>

#include "base/random.h"
#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::Header;
using protocol::MessageType;
using protocol::RequestId;
using protocol::WireError;
using ::testing::HasSubstr;

const protocol::AnyBody kEmpty = protocol::EmptyBody{};

/// The peer is another worker: it authenticates, seals what it asks and opens what it is told.
class SessionAuth : public SessionTest {
 protected:
    SessionAuth() {
        ends.offerer.fill(1);
        ends.answerer.fill(2);
        fingerprints = ends;
        authenticator = &own;
    }

    /// The error of the one answer since the last call: its words.
    std::string refused(WireError code) {
        settle();
        const auto list = answers();
        EXPECT_EQ(list.size(), 1U);
        if (list.size() != 1) return "";
        EXPECT_EQ(list[0].error(), code);
        const auto* error = std::get_if<protocol::ErrorBody>(&list[0].body);
        return error == nullptr ? "" : std::string(error->message);
    }
    void authenticate() {
        const protocol::Auth offer = peer.offer(ends);
        send(MessageType::kAuth, 1, offer);
        const auto list = answers();
        ASSERT_EQ(list.size(), 1U);
        ASSERT_TRUE(std::holds_alternative<protocol::Auth>(list[0].body));
        const auto accepted = peer.accept(offer, std::get<protocol::Auth>(list[0].body), ends);
        ASSERT_TRUE(accepted.ok()) << accepted.error().detail;
        EXPECT_EQ(accepted->fellow_id, "worker-001");
        sealer.emplace(accepted->keys.from_offerer);
        opener.emplace(accepted->keys.from_answerer);
    }
    template <typename Body>
    Bytes sealed(MessageType type, std::uint32_t id, const Body& body, protocol::Flags flags = {}) {
        Bytes plain;
        encode(body, plain);
        const Header header{type, flags | Flag::kEncrypted, RequestId{id}};
        Bytes message = protocol::encode_message(header);
        sealer->seal(header, plain, {}, message);
        return message;
    }
    /// What was sent since the last call, opened in its order.
    std::vector<Answer> opened_answers() {
        settle();
        for (Bytes& bytes : link.sent) {
            const auto message = protocol::decode_message(bytes);
            EXPECT_TRUE(message.ok() && message->header.flags.has(Flag::kEncrypted));
            Bytes body;
            EXPECT_TRUE(opener->open(message->header, message->body, body).ok());
            Header header = message->header;
            header.flags = header.flags.without(Flag::kEncrypted);
            bytes = protocol::encode_message(header);
            bytes.insert(bytes.end(), body.begin(), body.end());
        }
        return answers();
    }

    cluster::LinkFingerprints ends;
    SeededRandom random{5};
    crypto::SharedKey key{};
    cluster::Authenticator own{key, "worker-001", clock, random};
    cluster::Authenticator peer{key, "worker-002", clock, random};
    std::optional<cluster::LinkSealer> sealer;
    std::optional<cluster::LinkOpener> opener;
};

TEST_F(SessionAuth, AWorkerThatProvesItselfIsAFellow) {
    start();
    EXPECT_EQ(session->info().fellow_id, "");
    authenticate();
    EXPECT_EQ(session->info().fellow_id, "worker-002");
    EXPECT_EQ(context->stats().fellows, 1U);
    session.reset();
    EXPECT_EQ(context->stats().fellows, 0U);
}

TEST_F(SessionAuth, AfterAuthAllIsSealed) {
    start();
    authenticate();
    const Bytes data = pattern(2500);
    const ChunkId id = chunks.put(data);
    receive(sealed(MessageType::kChunkRequest, 2, protocol::ChunkRequest{id, 0, 0}));
    const auto list = opened_answers();
    EXPECT_EQ(list.size(), 3U);
    EXPECT_EQ(assemble(list, 2), data);
    receive(sealed(MessageType::kHealthCheck, 3, kEmpty));
    const auto health_list = opened_answers();
    ASSERT_EQ(health_list.size(), 1U);
    EXPECT_EQ(std::get<protocol::HealthAnswer>(health_list[0].body).json, health);
    // Unsealed requests are served all the same, and answered sealed.
    request(4, ChunkId());
    ASSERT_EQ(opened_answers().size(), 1U);
}

TEST_F(SessionAuth, ASealedStoreInFragmentsIsStored) {
    start();
    authenticate();
    const Bytes data = pattern(3000);
    const auto id = FakeChunkService::name_of<ChunkId>(data);
    const ByteSpan whole(data);
    receive(sealed(MessageType::kChunkStore, 2,
                   protocol::ChunkStore{id, 3000, 0, whole.first(2000)}, Flag::kMore));
    receive(sealed(MessageType::kChunkStore, 2,
                   protocol::ChunkStore{id, 3000, 2000, whole.subspan(2000)}));
    const auto list = opened_answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionAuth, SealsWhatATransportWithoutRoomTakesLater) {
    start();
    authenticate();
    const Bytes data = pattern(9000);
    const ChunkId id = chunks.put(data);
    link.room_bytes = 2000;
    receive(sealed(MessageType::kChunkRequest, 2, protocol::ChunkRequest{id, 0, 0}));
    receive(sealed(MessageType::kHealthCheck, 3, kEmpty));
    settle();
    EXPECT_TRUE(link.refused);
    make_room(SIZE_MAX, link, channel);
    const auto list = opened_answers();
    EXPECT_EQ(assemble(list, 2), data);
    EXPECT_EQ(list.size(), 10U);
}

TEST_F(SessionAuth, SealedMessagesStayWithinThePeersMessageSize) {
    link.max_message_bytes = kMinMessageBytes;
    limits.fragment_data_bytes = 64 * 1024;
    start();
    authenticate();
    const Bytes data = pattern(5000);
    receive(sealed(MessageType::kChunkRequest, 2, protocol::ChunkRequest{chunks.put(data), 0, 0}));
    settle();
    ASSERT_FALSE(link.sent.empty());
    EXPECT_EQ(link.sent[0].size(), kMinMessageBytes);
    EXPECT_EQ(assemble(opened_answers(), 2), data);
}

TEST_F(SessionAuth, WhatWasAlteredOrRepeatedOnTheWayIsRefused) {
    start();
    authenticate();
    const Bytes message = sealed(MessageType::kHealthCheck, 2, kEmpty);
    Bytes altered = message;
    altered.back() ^= 1;
    receive(altered);
    auto list = opened_answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kUnauthorized);
    receive(message);
    ASSERT_EQ(opened_answers().size(), 1U);
    receive(message);
    list = opened_answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kUnauthorized);
    EXPECT_THAT(std::get<protocol::ErrorBody>(list[0].body).message, HasSubstr("does not grow"));
    EXPECT_EQ(context->stats().malformed, 2U);
}

TEST_F(SessionAuth, AFellowMayAskForMoreAtOnceAndIsNoReaderOfFiles) {
    limits.max_active_requests = 2;
    limits.max_fellow_requests = 5;
    start();
    authenticate();
    chunks.hold_reads = true;
    const ChunkId id = chunks.put(pattern(10));
    for (std::uint32_t i = 0; i < 5; ++i) {
        receive(sealed(MessageType::kChunkRequest, i, protocol::ChunkRequest{id, 0, 0}));
    }
    EXPECT_TRUE(opened_answers().empty());
    EXPECT_TRUE(chunks.readers.empty()) << "what it asks for next says nothing";
    receive(sealed(MessageType::kChunkRequest, 5, protocol::ChunkRequest{id, 0, 0}));
    const auto list = opened_answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kBusy);
}

TEST_F(SessionAuth, WithoutAKeyAgreedSealedMessagesAreUnsupported) {
    start();
    sealer.emplace(cluster::LinkKey{});
    receive(sealed(MessageType::kHealthCheck, 2, kEmpty));
    EXPECT_EQ(refused(WireError::kUnsupported), "no key is agreed");
    authenticate();
    // Each channel carries the protocol independently.
    FakeLink second;
    channel = open(second);
    receive(sealed(MessageType::kHealthCheck, 2, kEmpty));
    const auto list = answers(second);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kUnsupported);
}

TEST_F(SessionAuth, AWorkerWithoutASharedKeyDoesNotSpeakAuth) {
    authenticator = nullptr;
    start();
    send(MessageType::kAuth, 1, peer.offer(ends));
    EXPECT_EQ(refused(WireError::kUnsupported), "this worker has no shared key");
}

TEST_F(SessionAuth, AnUnorderedChannelIsNotAuthenticated) {
    link.ordered = false;
    start();
    send(MessageType::kAuth, 1, peer.offer(ends));
    EXPECT_EQ(refused(WireError::kUnsupported), "AUTH needs an ordered channel");
}

TEST_F(SessionAuth, AConnectionWithoutACertificateIsNotAuthenticated) {
    fingerprints.reset();
    start();
    send(MessageType::kAuth, 1, peer.offer(ends));
    EXPECT_THAT(refused(WireError::kUnauthorized), HasSubstr("no certificate"));
}

TEST_F(SessionAuth, AReplayOnAnotherChannelIsRefused) {
    start();
    const protocol::Auth offer = peer.offer(ends);
    send(MessageType::kAuth, 1, offer);
    ASSERT_EQ(answers().size(), 1U);
    FakeLink second;
    channel = open(second);
    send(MessageType::kAuth, 1, offer);
    const auto list = answers(second);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kUnauthorized);
    EXPECT_THAT(std::get<protocol::ErrorBody>(list[0].body).message, HasSubstr("a replay"));
}

TEST_F(SessionAuth, WhatIsRefusedLeavesAnOrdinaryClient) {
    start();
    cluster::LinkFingerprints others = ends;
    others.answerer.fill(9);
    send(MessageType::kAuth, 1, peer.offer(others));
    EXPECT_THAT(refused(WireError::kUnauthorized), HasSubstr("not made for this connection"));
    crypto::SharedKey wrong{};
    wrong.fill(1);
    cluster::Authenticator stranger(wrong, "worker-002", clock, random);
    send(MessageType::kAuth, 2, stranger.offer(ends));
    EXPECT_THAT(refused(WireError::kUnauthorized), HasSubstr("shared key"));
    EXPECT_EQ(session->info().fellow_id, "");
    EXPECT_EQ(context->stats().fellows, 0U);
    const Bytes data = pattern(500);
    request(3, chunks.put(data));
    settle();
    EXPECT_EQ(assemble(answers(), 3), data);
}

TEST_F(SessionAuth, AChannelIsAuthenticatedOnce) {
    start();
    authenticate();
    receive(sealed(MessageType::kAuth, 2, peer.offer(ends)));
    const auto list = opened_answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kBadRequest);
}

TEST_F(SessionAuth, AConnectionIsOneWorkers) {
    start();
    authenticate();
    cluster::Authenticator third(key, "worker-003", clock, random);
    FakeLink second;
    channel = open(second);
    send(MessageType::kAuth, 1, third.offer(ends));
    const auto list = answers(second);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kUnauthorized);
    EXPECT_EQ(session->info().fellow_id, "worker-002");
}

TEST_F(SessionAuth, TooLongOrTruncatedBodiesAreBadRequests) {
    start();
    Bytes body;
    encode(peer.offer(ends), body);
    for (std::size_t size = 0; size < body.size(); size += 7) {
        Bytes message = protocol::encode_message(Header{MessageType::kAuth, {}, RequestId{1}});
        message.insert(message.end(), body.begin(),
                       body.begin() + static_cast<std::ptrdiff_t>(size));
        receive(message);
        EXPECT_THAT(refused(WireError::kBadRequest), HasSubstr("AUTH")) << size;
        clock.advance(std::chrono::seconds(2));
    }
    Bytes message = protocol::encode_message(Header{MessageType::kAuth, {}, RequestId{1}});
    message.resize(message.size() + protocol::kMaxAuthBytes, ' ');
    message.insert(message.end(), body.begin(), body.end());
    receive(message);
    EXPECT_THAT(refused(WireError::kBadRequest), HasSubstr("1024 are allowed"));
}

}  // namespace
}  // namespace kollator::session
