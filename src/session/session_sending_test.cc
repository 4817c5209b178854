// Turns, back-pressure, limits, malformed messages, and ends in the middle.
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "protocol/json.h"
#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::MessageType;
using protocol::RequestId;
using protocol::WireError;
using std::chrono::seconds;

const protocol::AnyBody kEmpty = protocol::EmptyBody{};

class SessionSending : public SessionTest {
 protected:
    static std::vector<std::uint32_t> ids(const std::vector<Answer>& list) {
        std::vector<std::uint32_t> found;
        for (const Answer& answer : list) found.push_back(to_number(answer.header.request_id));
        return found;
    }
};

TEST_F(SessionSending, ReadyRequestsTakeTurnsFragmentByFragment) {
    start();
    const ChunkId id = chunks.put(pattern(3000));
    link.room_bytes = 0;
    for (std::uint32_t i = 1; i <= 3; ++i) request(i, id);
    make_room(SIZE_MAX, link, channel);
    EXPECT_EQ(ids(answers()), (std::vector<std::uint32_t>{1, 2, 3, 1, 2, 3, 1, 2, 3}));
}

TEST_F(SessionSending, TheFirstFragmentIsShortAndTheOthersEndAtWholeBlocks) {
    limits.first_fragment_data_bytes = 300;
    start();
    const ChunkId id = chunks.put(pattern(3000));
    request(1, id);
    request(2, id, 1900, 1100);
    settle();
    std::map<std::uint32_t, std::vector<std::size_t>> sizes;
    for (const Answer& answer : answers()) {
        sizes[to_number(answer.header.request_id)].push_back(
            std::get<protocol::ResponseFragment>(answer.body).data.size());
    }
    EXPECT_EQ(sizes[1], (std::vector<std::size_t>{300, 700, 1000, 1000}));
    EXPECT_EQ(sizes[2], (std::vector<std::size_t>{100, 1000}));
}

TEST_F(SessionSending, ASmallAnswerGoesBeforeFragments) {
    start();
    link.room_bytes = 0;
    request(1, chunks.put(pattern(3000)));
    send(MessageType::kHealthCheck, 2, kEmpty);
    make_room(SIZE_MAX, link, channel);
    EXPECT_EQ(ids(answers()), (std::vector<std::uint32_t>{2, 1, 1, 1}));
}

TEST_F(SessionSending, StopsAtBackPressureAndResumesWithoutLosingAByte) {
    start();
    const Bytes data = pattern(50'000);
    link.room_bytes = 0;
    request(1, chunks.put(data));
    std::vector<Answer> all;
    for (int turn = 0; turn < 1000 && session->info().active_requests > 0; ++turn) {
        link.refused = false;
        make_room(1700, link, channel);
        for (const Answer& answer : answers()) all.push_back(answer);
    }
    EXPECT_EQ(all.size(), 50U);
    EXPECT_EQ(assemble(all, 1), data);
}

TEST_F(SessionSending, GivesWholeBuffersAwayAndCopiesPartsOfLargeOnes) {
    start();
    request(1, chunks.put(pattern(1000)));
    settle();
    EXPECT_EQ(answers().size(), 1U);
    EXPECT_EQ(link.given, 1U);
    request(2, chunks.put(pattern(10'000)));
    settle();
    EXPECT_EQ(answers().size(), 10U);
    EXPECT_EQ(link.given, 1U);
}

TEST_F(SessionSending, CopiesWhatOfABudgetIsOnLoan) {
    start();
    ByteBudget budget(1000);
    const Bytes data = pattern(1000);
    auto loan = std::make_shared<Buffer>(1000, budget.try_acquire(1000));
    std::copy(data.begin(), data.end(), loan->data());
    const ChunkId id = chunks.put(data);
    chunks.store(id, std::move(loan), [](const auto&) {});
    settle();
    request(1, id);
    settle();
    EXPECT_EQ(assemble(answers(), 1), data);
    EXPECT_EQ(link.given, 0U);
}

TEST_F(SessionSending, ASlowReaderHoldsOnePieceAndNotTheChunk) {
    start();
    link.room_bytes = 3 * 1014;
    const ChunkId id = chunks.put(pattern(100'000));
    for (std::uint32_t i = 0; i < 50; ++i) request(i, id);
    settle();
    EXPECT_EQ(answers().size(), 3U);
    EXPECT_EQ(chunks.pieces_read, 3U + 1U) << "three sent, one waiting for room";
    make_room(1014, link, channel);
    EXPECT_EQ(chunks.pieces_read, 4U + 1U);
}

TEST_F(SessionSending, ChannelsThatShareASendBufferTakeTurns) {
    start();
    FakeLink second;
    const ChannelHandle other = open(second);
    const Bytes data = pattern(10'000);
    const ChunkId id = chunks.put(data);
    link.room_bytes = second.room_bytes = 0;
    const ChannelHandle first = channel;
    request(1, id);
    channel = other;
    request(1, id);
    // One message fits each time, and it is always the first channel that is told so.
    std::vector<Answer> from_first;
    std::vector<Answer> from_second;
    for (int turn = 0; turn < 10; ++turn) {
        link.room_bytes = second.room_bytes = 1014;
        session->on_writable(first);
        for (const Answer& answer : answers(link)) from_first.push_back(answer);
        for (const Answer& answer : answers(second)) from_second.push_back(answer);
    }
    EXPECT_EQ(assemble(from_first, 1), data);
    EXPECT_EQ(assemble(from_second, 1), data);
}

TEST_F(SessionSending, ABlockedChannelDoesNotHoldUpAnother) {
    start();
    FakeLink second;
    const ChannelHandle other = open(second);
    const Bytes data = pattern(10'000);
    link.room_bytes = 0;
    request(1, chunks.put(data));
    channel = other;
    request(1, chunks.put(data));
    settle();
    EXPECT_EQ(assemble(answers(second), 1), data);
    EXPECT_TRUE(answers(link).empty());
}

TEST_F(SessionSending, LetsOthersHaveATurnAfterABoundedNumberOfFragments) {
    limits.max_fragments_per_turn = 4;
    start();
    const Bytes data = pattern(10'000);
    request(1, chunks.put(data));
    auto all = answers();
    EXPECT_EQ(all.size(), 4U);
    settle();
    for (const Answer& answer : answers()) all.push_back(answer);
    EXPECT_EQ(assemble(all, 1), data);
}

TEST_F(SessionSending, ServesAsManyRequestsAsTheLimitSaysAndRefusesTheNext) {
    start();
    const Bytes data = pattern(1500);
    const ChunkId id = chunks.put(data);
    chunks.hold_reads = true;
    ASSERT_GE(limits.max_active_requests, 64U);
    const auto limit = static_cast<std::uint32_t>(limits.max_active_requests);
    for (std::uint32_t i = 0; i < limit; ++i) request(i, id);
    EXPECT_TRUE(answers().empty());
    request(limit, id);
    EXPECT_EQ(only_error(), WireError::kBusy);
    store(limit + 1, id, 1500, 0, data, false);
    EXPECT_EQ(only_error(), WireError::kBusy);
    chunks.release_reads();
    for (int i = 0; i < 10; ++i) settle();
    const auto list = answers();
    for (std::uint32_t i = 0; i < limit; ++i) EXPECT_EQ(assemble(list, i), data);
    EXPECT_EQ(session->info().active_requests, 0U);
}

TEST_F(SessionSending, AnswersThatNobodyTakesAreBounded) {
    limits.max_answer_bytes = 100'000;
    start();
    link.room_bytes = 0;
    // A list may take 36,009 bytes: two fit.
    for (std::uint32_t i = 0; i < 3; ++i) send(MessageType::kChunkList, i, protocol::ListRequest{});
    make_room(SIZE_MAX, link, channel);
    const auto list = answers();
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0].error(), WireError{});
    EXPECT_EQ(list[1].error(), WireError{});
    EXPECT_EQ(list[2].error(), WireError::kBusy);
    send(MessageType::kChunkList, 4, protocol::ListRequest{});
    EXPECT_EQ(answers()[0].error(), WireError{}) << "there is room again";
}

TEST_F(SessionSending, OneWhoAsksAndDoesNotReadIsLeft) {
    start();
    link.room_bytes = 0;
    for (std::uint32_t i = 0; i < 5000 && close_reasons.empty(); ++i) {
        send(MessageType::kDhtLookup, i, protocol::LookupRequest{});
        if (i % 500 == 0) settle();
    }
    settle();
    EXPECT_EQ(close_reasons, std::vector<std::string>{"asks without reading the answers"});
}

TEST_F(SessionSending, EachMalformedVectorIsAnsweredWithItsCode) {
    start();
    std::ifstream file(std::string(KOLLATOR_SOURCE_DIR) + "/tests/vectors/malformed.json");
    std::ostringstream text;
    text << file.rdbuf();
    const auto vectors = protocol::parse_json(text.str(), {.max_bytes = 1 << 20, .max_depth = 4});
    ASSERT_TRUE(vectors.ok()) << vectors.error().detail;
    std::size_t answered = 0;
    for (const auto& vector : *vectors) {
        SCOPED_TRACE(*protocol::find_string(vector, "name"));
        const Bytes message = *from_hex(*protocol::find_string(vector, "hex"));
        receive(message);
        settle();
        clock.advance(seconds(2));  // too seldom to end the connection
        const auto list = answers();
        const auto header = protocol::peek_header(message);
        if (!header || header->flags.has(Flag::kResponse)) {
            EXPECT_TRUE(list.empty());
            continue;
        }
        const auto unsupported = {MessageType::kDhtAnnounce, MessageType::kDhtLookup};
        const bool refused_unread =
            std::find(unsupported.begin(), unsupported.end(), header->type) != unsupported.end();
        const auto code = *protocol::find_unsigned(vector, "code");
        ASSERT_EQ(list.size(), 1U);
        EXPECT_EQ(static_cast<std::uint64_t>(list[0].error()), refused_unread ? 8 : code);
        EXPECT_EQ(list[0].header.request_id, header->request_id);
        ++answered;
        // Forget what follows of a refused upload: the vectors share their request id.
        clock.advance(seconds(30));
        session->sweep();
    }
    EXPECT_GT(answered, 40U);
    EXPECT_TRUE(close_reasons.empty());
}

TEST_F(SessionSending, MalformedMessagesEndTheConnectionWhenTheyRepeat) {
    start();
    for (int i = 0; i < 16; ++i) receive({1, 2, 3});
    session->on_message(channel, as_bytes("text"), false);
    EXPECT_TRUE(close_reasons.empty()) << "never from within a call";
    settle();
    EXPECT_EQ(close_reasons, std::vector<std::string>{"malformed messages"});
    EXPECT_TRUE(answers().empty()) << "none of them had a header to answer to";
    EXPECT_EQ(context->stats().malformed, 17U);
    send(MessageType::kHealthCheck, 1, kEmpty);
    EXPECT_TRUE(answers().empty()) << "nothing is served any more";
}

TEST_F(SessionSending, MalformedMessagesAreForgivenWithTime) {
    start();
    for (int i = 0; i < 100; ++i) {
        receive({1, 2, 3});
        if (i % 16 == 15) clock.advance(seconds(10));
    }
    settle();
    EXPECT_TRUE(close_reasons.empty());
}

TEST_F(SessionSending, AnAnswerThatNobodyAskedForIsNotAnswered) {
    start();
    send(MessageType::kChunkResponse, 1, protocol::ResponseFragment{3, 0, as_bytes("abc")},
         Flag::kResponse);
    send(MessageType::kHealthCheck, 1, protocol::ErrorBody{}, Flag::kResponse | Flag::kError);
    settle();
    EXPECT_TRUE(answers().empty());
    EXPECT_EQ(context->stats().malformed, 2U);
}

TEST_F(SessionSending, AClosedChannelTakesItsRequestsAlong) {
    start();
    FakeLink second;
    const ChannelHandle other = open(second);
    const ChunkId id = chunks.put(pattern(10'000));
    link.room_bytes = 1014;
    request(1, id);
    request(2, id);
    store(3, ChunkId(), 100, 0, pattern(10), true);
    chunks.hold_answers = true;
    send(MessageType::kChunkStat, 4, protocol::StatRequest{{id}});
    EXPECT_EQ(session->info().active_requests, 4U);
    session->on_close(channel);
    EXPECT_EQ(session->info().active_requests, 0U);
    EXPECT_EQ(session->info().upload_bytes, 0U);
    EXPECT_EQ(chunks.readers_open, 0U);
    chunks.release_answers();
    settle();
    session->on_writable(channel);
    request(5, id);  // ignored: the channel is gone
    channel = other;
    request(1, id);
    settle();
    EXPECT_EQ(answers(second).size(), 10U);
}

TEST_F(SessionSending, TheNumberOfChannelsIsBounded) {
    limits.max_channels = 2;
    start();
    FakeLink second;
    open(second);
    FakeLink third;
    const auto refused = session->add_channel(std::make_unique<FakeTransport>(third));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
    session->on_close(channel);
    EXPECT_TRUE(session->add_channel(std::make_unique<FakeTransport>(third)).ok());
    session->on_close(channel);
    FakeLink tiny;
    tiny.max_message_bytes = kMinMessageBytes - 1;
    EXPECT_FALSE(session->add_channel(std::make_unique<FakeTransport>(tiny)).ok());
}

TEST_F(SessionSending, DestroyedInTheMiddleOfEverythingItLeavesNothingBehind) {
    start();
    const Bytes data = pattern(3000);
    const ChunkId id = chunks.put(data);
    chunks.hold_reads = true;
    chunks.hold_answers = true;
    request(1, id);
    store(2, id, 3000, 0, data, false);
    store(3, id, 3000, 0, ByteSpan(data).first(10), true);
    send(MessageType::kChunkStat, 4, protocol::StatRequest{{id}});
    send(MessageType::kChunkList, 5,
         protocol::ListRequest{ChunkId(), 2, protocol::ListScope::kObjectStore});
    for (int i = 0; i < 17; ++i) receive({1});
    EXPECT_EQ(context->stats().active_requests, 5U);
    session.reset();
    EXPECT_EQ(context->stats().active_requests, 0U);
    EXPECT_EQ(chunks.readers_open, 0U);
    chunks.release_reads();
    chunks.release_answers();
    settle();
    EXPECT_TRUE(close_reasons.empty());
    EXPECT_TRUE(answers().empty());
}

TEST_F(SessionSending, TheOwnerMayDestroyTheSessionWhenAskedToClose) {
    start();
    session = make_session(*context, {"test", [this](const std::string& reason) {
                                          session.reset();
                                          close_reasons.push_back(reason);
                                      }});
    channel = open(link);
    for (int i = 0; i < 17; ++i) receive({1});
    settle();
    EXPECT_EQ(session, nullptr);
    EXPECT_EQ(close_reasons.size(), 1U);
}

}  // namespace
}  // namespace kollator::session
