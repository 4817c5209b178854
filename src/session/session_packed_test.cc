// COMPRESSED, both ways.
#include <string>

#include "base/random.h"
#include "protocol/deflate.h"
#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::Flags;
using protocol::MessageType;
using protocol::RequestId;
using protocol::WireError;

class SessionPacked : public SessionTest {
 protected:
    SessionPacked() { limits.fragment_data_bytes = 4000; }

    void greet(std::vector<std::string> accept) {
        start();
        send(MessageType::kHello, 1000, protocol::Hello{.accept = std::move(accept)});
        settle();
        answers();
    }
    static Bytes text(std::size_t size) {
        Bytes bytes;
        for (int line = 0; bytes.size() < size; ++line) {
            const std::string words = "a line, and it is number " + std::to_string(line) + "\n";
            bytes.insert(bytes.end(), words.begin(), words.end());
        }
        bytes.resize(size);
        return bytes;
    }
    static Bytes noise(std::size_t size) {
        Bytes bytes(size);
        SeededRandom random(size);
        random.fill(bytes);
        return bytes;
    }
    /// Inflates what was sent; gives how many messages were compressed.
    std::size_t unpack() {
        std::size_t count = 0;
        for (Bytes& bytes : link.sent) {
            const auto message = protocol::decode_message(bytes);
            if (!message->header.flags.has(Flag::kCompressed)) continue;
            ++count;
            const auto body = inflater.unpack(message->body, 5000);
            EXPECT_TRUE(body.ok()) << body.error().detail;
            EXPECT_LE(message->body.size(), body->size() * 9 / 10);
            protocol::Header header = message->header;
            header.flags = header.flags.without(Flag::kCompressed);
            bytes = protocol::encode_message(header);
            bytes.insert(bytes.end(), body->begin(), body->end());
        }
        return count;
    }
    void store_packed(std::uint32_t id, const protocol::ChunkStore& fragment, Flags flags = {}) {
        Bytes plain;
        encode(fragment, plain);
        receive_packed(MessageType::kChunkStore, id, plain, flags);
    }
    void receive_packed(MessageType type, std::uint32_t id, ByteSpan plain, Flags flags = {}) {
        protocol::PackTrial trial;
        const ByteSpan packed = deflater.pack({}, plain, trial);
        ASSERT_FALSE(packed.empty());
        receive_as_packed(type, id, packed, flags);
    }
    void receive_as_packed(MessageType type, std::uint32_t id, ByteSpan packed, Flags flags = {}) {
        Bytes message = protocol::encode_message({type, flags | Flag::kCompressed, RequestId{id}});
        message.insert(message.end(), packed.begin(), packed.end());
        receive(message);
    }

    protocol::Deflater deflater;
    protocol::Inflater inflater;
};

TEST_F(SessionPacked, FragmentsAreCompressedForWhoAcceptsIt) {
    greet({"br", "deflate-raw"});
    const Bytes chunk = text(10'000);
    request(1, chunks.put(chunk));
    settle();
    EXPECT_EQ(unpack(), 3U);
    EXPECT_EQ(assemble(answers(), 1), chunk);
}

TEST_F(SessionPacked, AndForNobodyElse) {
    greet({"br"});
    const Bytes chunk = text(10'000);
    request(1, chunks.put(chunk));
    settle();
    EXPECT_EQ(unpack(), 0U);
    EXPECT_EQ(assemble(answers(), 1), chunk);
    // Who says HELLO again may change its mind.
    send(MessageType::kHello, 2, protocol::Hello{.accept = {"deflate-raw"}});
    settle();
    answers();
    FakeLink other;
    const ChannelHandle second = open(other);
    session->on_message(second,
                        protocol::encode_message({MessageType::kChunkRequest, {}, RequestId{3}},
                                                 protocol::ChunkRequest{chunks.put(chunk)}),
                        true);
    settle();
    const auto list = answers(other);
    EXPECT_FALSE(list.at(0).header.flags.has(Flag::kCompressed)) << "each channel by itself";
    request(4, chunks.put(chunk));
    settle();
    EXPECT_EQ(unpack(), 3U);
}

TEST_F(SessionPacked, WhatDoesNotShrinkIsSentAsItIs) {
    greet({"deflate-raw"});
    const Bytes chunk = noise(10'000);
    request(1, chunks.put(chunk));
    settle();
    EXPECT_EQ(unpack(), 0U);
    EXPECT_EQ(assemble(answers(), 1), chunk);
}

TEST_F(SessionPacked, AFragmentThatHadNoRoomIsSentOnce) {
    greet({"deflate-raw"});
    link.room_bytes = 100;
    const Bytes chunk = text(10'000);
    request(1, chunks.put(chunk));
    settle();
    EXPECT_TRUE(link.sent.empty());
    make_room(1 << 20, link, channel);
    settle();
    EXPECT_EQ(unpack(), 3U);
    EXPECT_EQ(assemble(answers(), 1), chunk);
}

TEST_F(SessionPacked, FewAreCompressedInOneTurnOfTheLoop) {
    limits.max_packs_per_turn = 2;
    greet({"deflate-raw"});
    const Bytes chunk = text(40'000);
    request(1, chunks.put(chunk));
    EXPECT_EQ(link.sent.size(), 2U);
    settle();
    settle();
    EXPECT_EQ(unpack(), 10U);
    EXPECT_EQ(assemble(answers(), 1), chunk);
}

TEST_F(SessionPacked, TakesCompressedStores) {
    greet({});
    const Bytes chunk = text(8000);
    const ChunkId id = FakeChunkService::name_of<ChunkId>(chunk);
    const ByteSpan all(chunk);
    store_packed(1, {id, 8000, 0, all.first(5000)}, Flag::kMore);
    store_packed(1, {id, 8000, 5000, all.subspan(5000)});
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionPacked, NothingIsAgreedBeforeHello) {
    start();
    const Bytes chunk = text(8000);
    const ChunkId id = FakeChunkService::name_of<ChunkId>(chunk);
    store_packed(1, {id, 8000, 0, chunk});
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    EXPECT_EQ(context->stats().malformed, 0U);
}

TEST_F(SessionPacked, ABombIsRefusedAndTheRestOfItsUploadIgnored) {
    greet({});
    const Bytes zeros(protocol::kMaxMessageBytes, 0);  // a header too many
    receive_packed(MessageType::kChunkStore, 1, zeros, Flag::kMore);
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    EXPECT_EQ(context->stats().malformed, 1U);
    const Bytes chunk = text(8000);
    const ChunkId id = FakeChunkService::name_of<ChunkId>(chunk);
    store_packed(1, {id, 8000, 0, chunk});
    settle();
    EXPECT_TRUE(answers().empty());
    store_packed(2, {id, 8000, 0, chunk});
    settle();
    EXPECT_EQ(answers().size(), 1U);
}

TEST_F(SessionPacked, WhatIsNoDeflateIsABadRequest) {
    greet({});
    for (const MessageType type : {MessageType::kHealthCheck, MessageType::kMetadataStore,
                                   MessageType::kChunkStore, MessageType::kChunkRequest}) {
        receive_as_packed(type, 1, noise(100));
        EXPECT_EQ(only_error(), WireError::kBadRequest) << static_cast<int>(type);
    }
    EXPECT_EQ(context->stats().malformed, 4U);
}

}  // namespace
}  // namespace kollator::session
