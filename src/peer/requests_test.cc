#include <gmock/gmock.h>

#include "peer/requests_harness.h"

namespace kollator::peer {
namespace {

class FetchTest : public RequestsTest {
 protected:
    RequestId fetch(Requests::CallOptions options = {}) {
        make();
        return requests_->fetch(name_of(chunk_), 200'000, std::move(options),
                                [this](Result<SharedBuffer> got) { got_ = std::move(got); });
    }
    ByteSpan part(std::uint32_t offset, std::uint32_t length) {
        return chunk_->span().subspan(offset, length);
    }

    const SharedBuffer chunk_ = random_bytes(150'000);
    std::optional<Result<SharedBuffer>> got_;
};

TEST_F(FetchTest, PutsAChunkTogetherAndChecksItsName) {
    std::vector<std::uint32_t> progress;
    const RequestId id = fetch({.on_progress = [&](std::uint32_t n) { progress.push_back(n); }});
    ASSERT_TRUE(until_sent(1));
    const auto request = protocol::decode_chunk_request(sent(0).body);
    EXPECT_EQ(request->id, name_of(chunk_));
    answer_fragment(id, 150'000, 0, part(0, 100'000), Flag::kMore);
    EXPECT_FALSE(got_);
    answer_fragment(id, 150'000, 100'000, part(100'000, 50'000), {});
    ASSERT_TRUE(got_ && got_->ok());
    EXPECT_TRUE(std::ranges::equal((**got_)->span(), chunk_->span()));
    EXPECT_EQ(progress, (std::vector<std::uint32_t>{100'000, 150'000}));
    EXPECT_EQ(requests_->active(), 0U);
}

TEST_F(FetchTest, RefusesBytesThatDoNotMatchTheName) {
    const RequestId id = fetch();
    Bytes wrong(chunk_->span().begin(), chunk_->span().end());
    wrong[77'777] ^= 1;
    answer_fragment(id, 150'000, 0, wrong, {});
    ASSERT_TRUE(got_ && !got_->ok());
    EXPECT_EQ(got_->error().code, ErrorCode::kCorrupt);
}

TEST_F(FetchTest, RefusesWhatIsNoWholeChunk) {
    struct Case {
        const char* what;
        std::uint32_t total, offset, length;
        bool more;
    };
    for (const Case& wrong :
         {Case{"over the limit", 200'001, 0, 1000, true}, Case{"empty", 0, 0, 0, false},
          Case{"not from the start", 150'000, 1, 1000, true},
          Case{"cut short", 150'000, 0, 100'000, false}}) {
        got_.reset();
        const RequestId id = fetch();
        answer_fragment(id, wrong.total, wrong.offset, part(wrong.offset, wrong.length),
                        wrong.more ? Flags(Flag::kMore) : Flags());
        ASSERT_TRUE(got_ && !got_->ok()) << wrong.what;
        EXPECT_EQ(got_->error().code, ErrorCode::kInvalid) << wrong.what;
    }
    for (const auto& [total, offset] : {std::pair(150'000U, 50U), std::pair(150'001U, 100U)}) {
        got_.reset();
        const RequestId id = fetch();
        answer_fragment(id, 150'000, 0, part(0, 100), Flag::kMore);
        answer_fragment(id, total, offset, part(100, 100), Flag::kMore);
        ASSERT_TRUE(got_ && !got_->ok());
        EXPECT_EQ(got_->error().code, ErrorCode::kInvalid);
    }
}

TEST_F(FetchTest, RefusesAnAnswerThatWasNotAgreed) {
    for (const Flags flags : {Flags(Flag::kCompressed), Flags(Flag::kEncrypted)}) {
        got_.reset();
        const RequestId id = fetch();
        answer_fragment(id, 150'000, 0, part(0, 100), flags);
        ASSERT_TRUE(got_ && !got_->ok());
        EXPECT_EQ(got_->error().code, ErrorCode::kInvalid);
    }
    got_.reset();
    const RequestId id = fetch();
    answer_fragment(id, 150'000, 0, part(0, 100), {}, MessageType::kMetadataRequest);
    ASSERT_TRUE(got_ && !got_->ok());
    EXPECT_EQ(got_->error().code, ErrorCode::kInvalid);
}

TEST_F(FetchTest, MapsAWorkersErrorsByWhatToDoNext) {
    const std::vector<std::pair<WireError, ErrorCode>> table{
        {WireError::kBadRequest, ErrorCode::kInvalid},
        {WireError::kNotFound, ErrorCode::kNotFound},
        {WireError::kTooLarge, ErrorCode::kInvalid},
        {WireError::kHashMismatch, ErrorCode::kCorrupt},
        {WireError::kBusy, ErrorCode::kLimit},
        {WireError::kUnavailable, ErrorCode::kUnavailable},
        {WireError::kUnauthorized, ErrorCode::kInvalid},
        {WireError::kUnsupported, ErrorCode::kInvalid},
        {WireError::kCancelled, ErrorCode::kCancelled},
        {WireError::kInternal, ErrorCode::kInternal},
        {WireError::kQuota, ErrorCode::kLimit},
        {WireError(999), ErrorCode::kInvalid}};
    for (const auto& [wire, code] : table) {
        got_.reset();
        const RequestId id = fetch();
        answer_error(MessageType::kChunkResponse, id, wire);
        ASSERT_TRUE(got_ && !got_->ok());
        EXPECT_EQ(got_->error().code, code);
        EXPECT_THAT(got_->error().detail, ::testing::EndsWith(": so it is"));
    }
}

TEST_F(FetchTest, RemembersWhenTheWorkerWantsToBeAskedAgain) {
    const RequestId id = fetch();
    const TimePoint before = loop_.now();
    answer_error(MessageType::kChunkResponse, id, WireError::kBusy, 700);
    EXPECT_GE(requests_->not_before(), before + milliseconds(700));
    const RequestId again = fetch();
    answer_error(MessageType::kChunkResponse, again, WireError::kBusy, UINT32_MAX);
    EXPECT_LE(requests_->not_before(), loop_.now() + seconds(61));
}

TEST_F(FetchTest, CancelsAndTellsTheWorker) {
    const RequestId id = fetch();
    ASSERT_TRUE(until_sent(1));
    requests_->cancel(id);
    EXPECT_FALSE(got_) << "before the call returned";
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).header, (Header{MessageType::kCancel, {}, id}));
    ASSERT_TRUE(got_);
    EXPECT_EQ(got_->error().code, ErrorCode::kCancelled);
    answer_fragment(id, 150'000, 0, part(0, 100), Flag::kMore);  // on its way already
}

TEST_F(FetchTest, EndsAtItsDeadline) {
    const RequestId id = fetch({.deadline = milliseconds(30)});
    ASSERT_TRUE(until([&] { return got_.has_value(); }));
    EXPECT_EQ(got_->error().code, ErrorCode::kTimeout);
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).header, (Header{MessageType::kCancel, {}, id}));
}

TEST_F(FetchTest, StreamsAPartToASink) {
    make();
    Bytes bytes;
    std::optional<Status> done;
    const RequestId id = requests_->stream(
        {name_of(chunk_), 1000, 5000}, {},
        [&](const protocol::ResponseFragment& fragment) -> Status {
            bytes.insert(bytes.end(), fragment.data.begin(), fragment.data.end());
            if (bytes.size() > 4000) return make_error(ErrorCode::kUnavailable, "disk full");
            return {};
        },
        [&](const Status& status) { done = status; });
    answer_fragment(id, 150'000, 1000, part(1000, 3000), Flag::kMore);
    EXPECT_TRUE(std::ranges::equal(bytes, part(1000, 3000)));
    answer_fragment(id, 150'000, 4000, part(4000, 2000), {});
    ASSERT_TRUE(done && !done->ok());
    EXPECT_EQ(done->error().detail, "disk full");
}

TEST_F(RequestsTest, JoinsTheMessagesOfAnAnswerUpToABound) {
    make({.max_answer_bytes = 10});
    std::vector<Result<std::string>> got;
    const auto keep = [&](Result<std::string> text) { got.push_back(std::move(text)); };
    const RequestId first = requests_->health(keep);
    answer(MessageType::kHealthCheck, Flag::kMore, first, as_bytes("{\"a\""));
    answer(MessageType::kHealthCheck, {}, first, as_bytes(":1}"));
    const RequestId second = requests_->health(keep);
    answer(MessageType::kHealthCheck, {}, second, as_bytes("elevenbytes"));
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(*got[0], "{\"a\":1}");
    EXPECT_EQ(got[1].error().code, ErrorCode::kInvalid);
}

TEST_F(RequestsTest, AnswersCountForTheNumberOfNames) {
    make();
    std::optional<Result<std::vector<protocol::StatEntry>>> got;
    const RequestId id =
        requests_->stat({ChunkId(), ChunkId()}, [&](auto answer) { got = answer; });
    answer(MessageType::kChunkStat, {}, id, Bytes{0, 0, 0, 1, 2});
    ASSERT_TRUE(got && !got->ok());
}

TEST_F(RequestsTest, BoundsWhatIsAskedAtOnce) {
    make({.max_active = 2});
    int failed = 0;
    int answered = 0;
    for (int i = 0; i < 3; ++i) {
        requests_->health([&](const Result<std::string>& text) {
            ++(text.ok() ? answered : failed);
            EXPECT_TRUE(text.ok() || text.error().code == ErrorCode::kLimit);
        });
    }
    EXPECT_EQ(failed, 0) << "before the call returned";
    EXPECT_TRUE(until([&] { return failed == 1; }));
    EXPECT_EQ(requests_->active(), 2U);
}

TEST_F(RequestsTest, ASilentWorkerIsGivenUp) {
    make({.silence_timeout = milliseconds(60)});
    const TimePoint began = loop_.now();
    std::optional<Result<std::string>> got;
    requests_->health([&](auto answer) { got = answer; });
    // A sign of life, though it answers another.
    bool heard = false;
    Timer timer(loop_);
    timer.start_after(milliseconds(40), [&] {
        answer(MessageType::kHealthCheck, {}, RequestId(77), {});
        heard = true;
    });
    ASSERT_TRUE(until([&] { return got.has_value(); }));
    EXPECT_TRUE(heard);
    EXPECT_EQ(got->error().code, ErrorCode::kTimeout);
    EXPECT_GE(loop_.now() - began, milliseconds(100));
}

TEST_F(RequestsTest, WhatTheNetworkTakesIsASignOfLife) {
    make({.silence_timeout = milliseconds(40)});
    wire_.buffered = 1000;
    std::optional<Result<std::string>> got;
    const TimePoint began = loop_.now();
    requests_->health([&](auto answer) { got = answer; });
    wire_.buffered = 500;  // noticed when the silence would be too long
    ASSERT_TRUE(until([&] { return got.has_value(); }));
    EXPECT_GE(loop_.now() - began, milliseconds(80));
}

/// Of milliseconds, so that a test need not wait.
constexpr LivenessLimits kQuick{.tick = milliseconds(5),
                                .probe_after = milliseconds(40),
                                .lost_after = milliseconds(100),
                                .longest_tick = milliseconds(20)};

TEST_F(RequestsTest, ASilentWorkerIsProbedOnceAndThenTold) {
    make({.liveness = kQuick});
    protocol::Hello hello;
    hello.agent = "somebody";
    int silent = 0;
    requests_->set_on_silent([&] {
        ++silent;
        requests_->on_closed("silent");
    });
    requests_->hello(hello, [](const auto&) {});
    std::optional<Result<std::string>> got;
    requests_->health([&](auto answer) { got = answer; });
    ASSERT_TRUE(until([&] { return got.has_value(); }));
    EXPECT_EQ(got->error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(silent, 1);
    ASSERT_EQ(wire_.sent.size(), 3U);
    EXPECT_EQ(sent(2).header.type, MessageType::kHello);
    EXPECT_EQ(Bytes(sent(2).body.begin(), sent(2).body.end()),
              Bytes(sent(0).body.begin(), sent(0).body.end()))
        << "what was agreed stays as it was";
}

TEST_F(RequestsTest, PartsOfAMessageAreASignOfLife) {
    make({.liveness = kQuick});
    requests_->set_on_silent([] { FAIL() << "it sends"; });
    requests_->health([](const auto&) {});
    Timer timer(loop_);
    int parts = 0;
    std::function<void()> part = [&] {
        ++wire_.signs;
        ++parts;
        timer.start_after(milliseconds(10), part);
    };
    part();
    ASSERT_TRUE(until([&] { return parts == 50; }));
}

TEST_F(RequestsTest, AWorkerThatAnswersProbesOnlyIsGivenUpInTheEnd) {
    make({.silence_timeout = milliseconds(300), .liveness = kQuick});
    requests_->set_on_silent([] { FAIL() << "it answers"; });
    std::optional<Result<std::string>> got;
    requests_->health([&](auto answer) { got = answer; });
    std::size_t seen = 1;
    ASSERT_TRUE(until([&] {
        for (; seen < wire_.sent.size(); ++seen) {
            if (sent(seen).header.type != MessageType::kHello) continue;
            ++wire_.signs;
            answer(MessageType::kHello, {}, sent(seen).header.request_id, as_bytes("{}"));
        }
        return got.has_value();
    }));
    EXPECT_EQ(got->error().code, ErrorCode::kTimeout);
    EXPECT_GE(seen, 4U);
}

TEST_F(RequestsTest, ALostConnectionEndsAllRequests) {
    make();
    int ended = 0;
    const auto count = [&](const Result<std::string>& text) {
        EXPECT_EQ(text.error().code, ErrorCode::kUnavailable);
        ++ended;
    };
    requests_->health(count);
    requests_->health(count);
    requests_->on_closed("gone");
    EXPECT_EQ(ended, 2);
    EXPECT_FALSE(requests_->open());
    requests_->health(count);
    EXPECT_EQ(ended, 2) << "before the call returned";
    EXPECT_TRUE(until([&] { return ended == 3; }));
}

TEST_F(RequestsTest, ServesNothingButSaysSo) {
    make();
    const auto question = protocol::encode_message({MessageType::kHealthCheck, {}, RequestId(9)});
    requests_->on_message(question, true);
    requests_->on_message(protocol::encode_message({MessageType::kCancel, {}, RequestId(9)}), true);
    requests_->on_message(Bytes{1, 2}, true);
    requests_->on_message(question, false);
    ASSERT_TRUE(until_sent(1));
    EXPECT_EQ(wire_.sent.size(), 1U);
    EXPECT_EQ(sent(0).header.request_id, RequestId(9));
    EXPECT_EQ(protocol::decode_error(sent(0).body)->code, WireError::kUnsupported);
}

}  // namespace
}  // namespace kollator::peer
