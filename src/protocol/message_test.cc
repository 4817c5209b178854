#include "protocol/message.h"

#include <gtest/gtest.h>

#include <vector>

#include "protocol/blobs.h"
#include "protocol/catalog.h"
#include "protocol/hello.h"

namespace kollator::protocol {
namespace {

Bytes frame(std::uint8_t type, std::uint8_t flags) {
    return {type, flags, 0, 0, 1, 2};
}

TEST(Message, AHeaderKeepsTypeFlagsAndRequestId) {
    const Header header{MessageType::kChunkStat, Flag::kResponse | Flag::kMore,
                        RequestId{0x01020304}};
    const Bytes bytes = encode_message(header);
    EXPECT_EQ(to_hex(bytes), "0c8401020304");
    const auto message = decode_message(bytes);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->header, header);
    EXPECT_TRUE(message->body.empty());
}

TEST(Message, RefusesEveryUnknownFlagBit) {
    for (unsigned bits = 0; bits < 256; ++bits) {
        const bool known = (bits & 0x70) == 0;
        const Bytes bytes = frame(0x06, static_cast<std::uint8_t>(bits | 0x80));
        EXPECT_EQ(decode_message(bytes).ok(), known) << bits;
        EXPECT_TRUE(peek_header(bytes).has_value());
    }
}

TEST(Message, RefusesRequestsThatOnlyAnswersMayBe) {
    EXPECT_FALSE(decode_message(frame(0x02, 0)).ok());
    EXPECT_TRUE(decode_message(frame(0x02, 0x80)).ok());
    EXPECT_FALSE(decode_message(frame(0x06, 0x08)).ok());
    EXPECT_TRUE(decode_message(frame(0x06, 0x88)).ok());
}

TEST(Message, EveryTypeHasANameAndAnAnswerType) {
    for (unsigned number = 0; number < 256; ++number) {
        const auto type = static_cast<MessageType>(number);
        EXPECT_EQ(is_known(type), number <= 0x0C);
        EXPECT_EQ(to_string(type) == "UNKNOWN", number > 0x0C);
    }
    EXPECT_EQ(answer_type(MessageType::kChunkRequest), MessageType::kChunkResponse);
    EXPECT_EQ(answer_type(MessageType::kMetadataRequest), MessageType::kMetadataRequest);
    EXPECT_EQ(to_string(MessageType::kChunkStat), "CHUNK_STAT");
    EXPECT_EQ(to_string(WireError::kQuota), "QUOTA");
    EXPECT_EQ(to_string(static_cast<WireError>(12)), "UNKNOWN");
}

TEST(Message, AnErrorOfAnUnknownCodeIsStillAnError) {
    Bytes body;
    encode(ErrorBody{static_cast<WireError>(999), 5, "new"}, body);
    const auto error = decode_error(body);
    ASSERT_TRUE(error.ok());
    EXPECT_EQ(static_cast<unsigned>(error->code), 999U);
    EXPECT_EQ(error->retry_after_ms, 5U);
    EXPECT_EQ(error->message, "new");
}

TEST(Message, HeadsWithoutDataEqualTheWholeMessageCutBeforeItsData) {
    const Bytes data = {1, 2, 3};
    const auto id = *ChunkId::from_hex(std::string(64, 'a'));
    const Bytes store = encode_message({MessageType::kChunkStore, Flag::kMore, RequestId{7}},
                                       ChunkStore{id, 9, 2, data});
    std::array<std::uint8_t, kStoreHeadBytes> store_head{};
    encode_chunk_store_head(store_head, RequestId{7}, Flag::kMore, id, 9, 2);
    EXPECT_EQ(to_hex(store_head) + "010203", to_hex(store));

    const Bytes response = encode_message(
        {MessageType::kChunkResponse, Flag::kResponse, RequestId{8}}, ResponseFragment{9, 6, data});
    std::array<std::uint8_t, kResponseHeadBytes> response_head{};
    encode_chunk_response_head(response_head, RequestId{8}, {}, 9, 6);
    EXPECT_EQ(to_hex(response_head) + "010203", to_hex(response));
}

TEST(Message, DataIsAViewIntoTheMessage) {
    const Bytes bytes = encode_message({MessageType::kChunkResponse, Flag::kResponse, RequestId{1}},
                                       ResponseFragment{3, 0, as_bytes("abc")});
    const auto message = decode_message(bytes);
    const auto fragment = decode_response_fragment(message->body);
    ASSERT_TRUE(fragment.ok());
    EXPECT_EQ(fragment->data.data(), bytes.data() + kResponseHeadBytes);
}

TEST(Message, DecodeErrorsNameWhatIsWrong) {
    const auto detail = [](const auto& result) { return result.error().detail; };
    EXPECT_EQ(detail(decode_message(Bytes{1, 2})), "a message of 2 bytes has no header");
    EXPECT_EQ(detail(decode_message(frame(6, 0x40))), "unknown flags 0x40");
    EXPECT_EQ(detail(decode_chunk_request(Bytes(39))), "CHUNK_REQUEST of 39 bytes, 40 wanted");
    EXPECT_EQ(detail(decode_list_request(Bytes(35, 9))), "CHUNK_LIST: unknown scope 9");
    Bytes stat{0x03, 0xE9};
    EXPECT_EQ(detail(decode_stat_request(stat)), "CHUNK_STAT of 1001 names, 1000 are allowed");
    EXPECT_EQ(detail(decode_hello(as_bytes(R"({"version":1,"role":7})"))),
              R"(HELLO: "role" is not "client" or "worker")");
}

TEST(Hello, TextsAndListsAreBounded) {
    const auto with = [](const std::string& member) {
        return R"({"version":1,"role":"client",)" + member + "}";
    };
    const std::string longest(kMaxIdBytes, 'x');
    EXPECT_TRUE(decode_hello(as_bytes(with("\"id\":\"" + longest + "\""))).ok());
    EXPECT_FALSE(decode_hello(as_bytes(with("\"id\":\"x" + longest + "\""))).ok());
    std::string words = "\"x\"";
    for (std::size_t i = 1; i < kMaxWords; ++i) words += ",\"x\"";
    EXPECT_TRUE(decode_hello(as_bytes(with("\"accept\":[" + words + "]"))).ok());
    EXPECT_FALSE(decode_hello(as_bytes(with("\"accept\":[" + words + ",\"x\"]"))).ok());
}

TEST(Hello, OfAnotherVersionIsNotJudged) {
    const auto hello = decode_hello(as_bytes(R"({"version":7,"role":{"new":true}})"));
    ASSERT_TRUE(hello.ok());
    EXPECT_EQ(hello->version, 7U);
}

TEST(Hello, SurvivesARoundTrip) {
    const Hello hello{.version = 1,
                      .role = Role::kWorker,
                      .id = "worker-001",
                      .accept = {"deflate-raw"},
                      .agent = "kollator \"größer\"",
                      .max_chunk_bytes = 5'242'880,
                      .features = {"a", "b"}};
    Bytes body;
    encode(hello, body);
    const auto back = decode_hello(body);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, hello);
}

}  // namespace
}  // namespace kollator::protocol
