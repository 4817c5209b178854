// One chunk asked of one fellow, over a wire in memory.
#include "cluster/chunk_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace kollator::cluster {
namespace {

using protocol::Flag;
using protocol::MessageType;
using std::chrono::milliseconds;
using std::chrono::seconds;

class MemoryWire final : public peer::Wire {
 public:
    Status send(ByteSpan head, ByteSpan body) override {
        sent.emplace_back(head.begin(), head.end());
        sent.back().insert(sent.back().end(), body.begin(), body.end());
        return {};
    }
    std::size_t max_message_bytes() const override { return 262'144; }
    std::size_t buffered_bytes() const override { return 0; }
    std::uint64_t signs_of_life() const override { return 0; }

    std::vector<Bytes> sent;
};

class ChunkRequestTest : public ::testing::Test {
 protected:
    void ask(Duration wait = seconds(30)) {
        request = std::make_unique<ChunkRequest>(
            loop, requests, ChunkRequest::Params{ChunkId(), {1000, &budget}, wait, seconds(60)},
            [this](const SharedBuffer& buffer, std::size_t available) {
                progress.emplace_back(as_text(buffer->span().first(available)));
            },
            [this](Result<SharedBuffer> got) { result = std::move(got); },
            [this](ChunkRequest&, const Result<SharedBuffer>* got) {
                ended = got == nullptr ? "let go" : got->ok() ? "ok" : got->error().detail;
            });
    }
    bool until(const std::function<bool()>& done) { return loop.run_until(done, seconds(30)); }
    bool until_sent(std::size_t count) {
        return until([&] { return wire.sent.size() >= count; });
    }
    protocol::Header sent(std::size_t index) { return *protocol::peek_header(wire.sent.at(index)); }
    void fragment(std::uint32_t total, std::uint32_t offset, const std::string& data, bool last) {
        ASSERT_TRUE(until_sent(1));
        const protocol::Header header{
            MessageType::kChunkResponse,
            last ? protocol::Flags(Flag::kResponse) : Flag::kResponse | Flag::kMore,
            sent(0).request_id};
        requests.on_message(protocol::encode_message(
                                header, protocol::ResponseFragment{total, offset, as_bytes(data)}),
                            true);
    }
    ErrorCode error_code() {
        EXPECT_TRUE(until([&] { return result.has_value(); }));
        return result && !result->ok() ? result->error().code : ErrorCode::kInternal;
    }

    EventLoop loop;
    MemoryWire wire;
    peer::Requests requests{loop, wire};
    ByteBudget budget{2000};
    std::vector<std::string> progress;
    std::optional<Result<SharedBuffer>> result;
    std::string ended;
    std::unique_ptr<ChunkRequest> request;
};

TEST_F(ChunkRequestTest, GivesTheBytesAsTheyComeAndThenTheWhole) {
    ask();
    fragment(6, 0, "abc", false);
    EXPECT_EQ(progress, std::vector<std::string>{"abc"});
    EXPECT_EQ(budget.used_bytes(), 6U);
    fragment(6, 3, "def", true);
    ASSERT_TRUE(until([&] { return result.has_value(); }));
    ASSERT_TRUE(result->ok());
    EXPECT_EQ(as_text((**result)->span()), "abcdef");
    EXPECT_EQ(ended, "ok");
    result.reset();
    request.reset();
    EXPECT_EQ(budget.used_bytes(), 0U);
    EXPECT_EQ(wire.sent.size(), 1U) << "nothing was cancelled";
}

TEST_F(ChunkRequestTest, WhoIsSilentIsNotWaitedFor) {
    ask(milliseconds(30));
    EXPECT_EQ(error_code(), ErrorCode::kTimeout);
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).type, MessageType::kCancel);
    EXPECT_EQ(sent(1).request_id, sent(0).request_id);
    EXPECT_THAT(ended, ::testing::HasSubstr("nothing came for"));
}

TEST_F(ChunkRequestTest, WhoAnswersOtherThingsIsWaitedForTwiceAsLong) {
    constexpr milliseconds kWait(200);
    const TimePoint began = loop.now();
    ask(kWait);
    Timer timer(loop);
    std::function<void()> speak = [&] {
        const auto pong = protocol::encode_message(
            {MessageType::kHello, Flag::kResponse, protocol::RequestId(77)});
        requests.on_message(pong, true);
        timer.start_after(milliseconds(20), speak);
    };
    speak();
    EXPECT_EQ(error_code(), ErrorCode::kTimeout);
    EXPECT_GE(loop.now() - began, 2 * kWait);
}

TEST_F(ChunkRequestTest, WhoStopsInTheMiddleIsNotWaitedFor) {
    ask(milliseconds(200));
    fragment(6, 0, "abc", false);
    EXPECT_EQ(error_code(), ErrorCode::kTimeout);
    EXPECT_EQ(request->received_bytes(), 3U);
}

TEST_F(ChunkRequestTest, WhatDoesNotFitIsRefused) {
    ask();
    fragment(1001, 0, "abc", false);
    EXPECT_EQ(error_code(), ErrorCode::kInvalid);
}

TEST_F(ChunkRequestTest, AnAnswerCutShortIsNoChunk) {
    ask();
    fragment(6, 0, "abc", true);
    EXPECT_EQ(error_code(), ErrorCode::kInvalid);
}

TEST_F(ChunkRequestTest, ARangeThatBeginsLaterIsNoChunk) {
    ask();
    fragment(6, 3, "def", true);
    EXPECT_EQ(error_code(), ErrorCode::kInvalid);
}

TEST_F(ChunkRequestTest, WithoutMemoryItEnds) {
    const auto taken = budget.try_acquire(1990);
    ask();
    fragment(100, 0, "abc", false);
    EXPECT_EQ(error_code(), ErrorCode::kLimit);
}

TEST_F(ChunkRequestTest, TheFellowsRefusalIsTold) {
    ask();
    ASSERT_TRUE(until_sent(1));
    const protocol::Header header{MessageType::kChunkResponse, Flag::kResponse | Flag::kError,
                                  sent(0).request_id};
    requests.on_message(
        protocol::encode_message(
            header, protocol::ErrorBody{protocol::WireError::kNotFound, 0, "not here"}),
        true);
    EXPECT_EQ(error_code(), ErrorCode::kNotFound);
}

TEST_F(ChunkRequestTest, LettingGoCancels) {
    ask();
    ASSERT_TRUE(until_sent(1));
    request.reset();
    EXPECT_EQ(ended, "let go");
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).type, MessageType::kCancel);
    EXPECT_FALSE(result.has_value());
}

TEST_F(ChunkRequestTest, ALostLinkEndsIt) {
    ask();
    request->lose("the link is lost");
    EXPECT_EQ(error_code(), ErrorCode::kUnavailable);
    request.reset();
    requests.forget_all();
}

}  // namespace
}  // namespace kollator::cluster
