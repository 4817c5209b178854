// Every request and its answer; every error code that a session can give.
#include "chunk/denylist.h"
#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::MessageType;
using protocol::RequestId;
using protocol::WireError;

const protocol::AnyBody kEmpty = protocol::EmptyBody{};

class SessionRequests : public SessionTest {};

TEST_F(SessionRequests, HelloTellsWhoAnswers) {
    start();
    send(MessageType::kHello, 7, protocol::Hello{.id = "me", .accept = {"deflate-raw"}});
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].header.request_id, RequestId{7});
    const auto& hello = std::get<protocol::Hello>(list[0].body);
    EXPECT_EQ(hello.version, 1U);
    EXPECT_EQ(hello.role, protocol::Role::kWorker);
    EXPECT_EQ(hello.id, "worker-001");
    EXPECT_EQ(hello.agent, "kollator/test");
    EXPECT_EQ(hello.accept, std::vector<std::string>{"deflate-raw"});
    EXPECT_EQ(hello.max_chunk_bytes, 5U * 1024 * 1024);
    EXPECT_EQ(hello.features, std::vector<std::string>{"metadata"});
    ASSERT_TRUE(session->info().hello.has_value());
    EXPECT_EQ(session->info().hello->id, "me");
}

TEST_F(SessionRequests, HelloOfAnotherVersionIsUnsupported) {
    start();
    send(MessageType::kHello, 1, protocol::Hello{.version = 2});
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    EXPECT_FALSE(session->info().hello.has_value());
}

TEST_F(SessionRequests, AChunkComesInFragmentsWithMoreOnAllButTheLast) {
    start();
    const Bytes data = pattern(2500);
    request(3, chunks.put(data));
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(assemble(list, 3), data);
    EXPECT_EQ(list[0].header.type, MessageType::kChunkResponse);
    EXPECT_EQ(std::get<protocol::ResponseFragment>(list[2].body).offset, 2000U);
    EXPECT_EQ(std::get<protocol::ResponseFragment>(list[0].body).total, 2500U);
    EXPECT_EQ(session->info().active_requests, 0U);
    EXPECT_EQ(chunks.readers_open, 0U);
}

TEST_F(SessionRequests, WhatIsKnownIsToldAtOnce) {
    start();
    const ChunkId id = chunks.put(pattern(10));
    chunks.hold_answers = true;
    send(MessageType::kChunkStat, 5, protocol::StatRequest{{id, ChunkId()}, true});
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    const auto& stat = std::get<protocol::StatAnswer>(list[0].body);
    ASSERT_EQ(stat.entries.size(), 2U);
    EXPECT_EQ(stat.entries[0].residency, protocol::StatResidency::kCachedHere);
    EXPECT_EQ(session->info().active_requests, 0U);
}

TEST_F(SessionRequests, TellsTheCacheWhoReadsWhatAndWhoHasGone) {
    start();
    const ChunkId id = chunks.put(pattern(10));
    request(3, id);
    settle();
    ASSERT_EQ(chunks.readers.size(), 1U);
    EXPECT_EQ(chunks.readers.begin()->second, std::vector<ChunkId>{id});
    session.reset();
    EXPECT_TRUE(chunks.readers.empty());
}

TEST_F(SessionRequests, FragmentsFitThePeersMessageSize) {
    limits.fragment_data_bytes = 64 * 1024;
    link.max_message_bytes = 1024;
    start();
    const Bytes data = pattern(5000);
    request(3, chunks.put(data));
    const auto list = answers();
    EXPECT_EQ(list.size(), 5U);  // 1,010 bytes of data each
    EXPECT_EQ(assemble(list, 3), data);
}

TEST_F(SessionRequests, RangesAreServed) {
    start();
    const Bytes data = pattern(5000);
    const ChunkId id = chunks.put(data);
    request(1, id, 1500, 2000);
    request(2, id, 4999, 1);
    request(3, id, 4000, 0xFFFFFFFF);
    settle();
    const auto list = answers();
    EXPECT_EQ(assemble(list, 1), Bytes(data.begin() + 1500, data.begin() + 3500));
    EXPECT_EQ(first_offset(list, 1), 1500U);
    EXPECT_EQ(assemble(list, 2), Bytes(data.end() - 1, data.end()));
    EXPECT_EQ(assemble(list, 3), Bytes(data.begin() + 4000, data.end()));
}

TEST_F(SessionRequests, AnEmptyRangeAtTheEndIsOneEmptyFragment) {
    start();
    const ChunkId id = chunks.put(pattern(10));
    request(1, id, 10);
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    const auto& fragment = std::get<protocol::ResponseFragment>(list[0].body);
    EXPECT_EQ(fragment.total, 10U);
    EXPECT_EQ(fragment.offset, 10U);
    EXPECT_TRUE(fragment.data.empty());
    EXPECT_FALSE(list[0].header.flags.has(Flag::kMore));
}

TEST_F(SessionRequests, ARangePastTheEndIsABadRequestButNoMalformedMessage) {
    start();
    const ChunkId id = chunks.put(pattern(10));
    for (std::uint32_t i = 0; i < 40; ++i) request(i, id, 11);
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 40U);
    EXPECT_EQ(list[39].error(), WireError::kBadRequest);
    EXPECT_EQ(list[39].header.type, MessageType::kChunkResponse);
    EXPECT_TRUE(close_reasons.empty());
}

TEST_F(SessionRequests, EachErrorOfTheServiceHasItsCode) {
    start();
    const ChunkId id = chunks.put(pattern(10));
    const std::vector<std::pair<ErrorCode, WireError>> codes = {
        {ErrorCode::kNotFound, WireError::kNotFound},
        {ErrorCode::kCorrupt, WireError::kHashMismatch},
        {ErrorCode::kUnavailable, WireError::kUnavailable},
        {ErrorCode::kTimeout, WireError::kUnavailable},
        {ErrorCode::kInvalid, WireError::kBadRequest},
        {ErrorCode::kLimit, WireError::kBusy},
        {ErrorCode::kCancelled, WireError::kCancelled},
        {ErrorCode::kInternal, WireError::kInternal}};
    for (const auto& [code, expected] : codes) {
        chunks.fail_all = make_error(code, "/secret/path");
        request(1, id);
        settle();
        const auto list = answers();
        ASSERT_EQ(list.size(), 1U);
        EXPECT_EQ(list[0].error(), expected);
        EXPECT_TRUE(list[0].header.flags.has(Flag::kError));
        const auto& body = std::get<protocol::ErrorBody>(list[0].body);
        const bool later = expected == WireError::kBusy || expected == WireError::kUnavailable;
        EXPECT_EQ(body.retry_after_ms, later ? 1000U : 0U);
        // What the service says of this machine stays here; only what is about the input goes out.
        EXPECT_EQ(body.message.find("secret") != std::string_view::npos,
                  code == ErrorCode::kInvalid);
    }
    EXPECT_EQ(context->stats().errors, codes.size());
}

TEST_F(SessionRequests, ARefusalByTheDenylistIsToldInItsWords) {
    start();
    chunks.fail_all = chunk::refused_by_denylist();
    request(1, ChunkId());
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kNotFound);
    EXPECT_TRUE(std::get<protocol::ErrorBody>(list[0].body).message.starts_with("refused: "));
}

TEST_F(SessionRequests, AnUnknownChunkIsNotFound) {
    start();
    request(1, ChunkId());
    EXPECT_EQ(only_error(), WireError::kNotFound);
}

TEST_F(SessionRequests, AnErrorAfterTheFirstFragmentEndsTheRequest) {
    start();
    chunks.fail_middle = make_error(ErrorCode::kUnavailable, "gone");
    request(1, chunks.put(pattern(5000)));
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_TRUE(list[0].header.flags.has(Flag::kMore));
    EXPECT_EQ(list[1].error(), WireError::kUnavailable);
    EXPECT_EQ(session->info().active_requests, 0U);
}

TEST_F(SessionRequests, AReaderThatHasToWaitIsAskedAgainWhenItIsReady) {
    start();
    const Bytes data = pattern(2500);
    chunks.hold_reads = true;
    request(1, chunks.put(data));
    settle();
    EXPECT_TRUE(answers().empty());
    chunks.release_reads();
    settle();
    EXPECT_EQ(assemble(answers(), 1), data);
}

TEST_F(SessionRequests, MetadataIsServedUnderItsOwnType) {
    start();
    const Bytes data = pattern(1500);
    const MetadataId id(crypto::sha256(as_bytes("info")));
    chunks.put_as(id.bytes(), data);
    send(MessageType::kMetadataRequest, 4, protocol::MetadataRequest{id, 0, 0});
    const auto list = answers();
    EXPECT_EQ(assemble(list, 4), data);
    EXPECT_EQ(list[0].header.type, MessageType::kMetadataRequest);
}

TEST_F(SessionRequests, ListsCachedAndStoredNamesInPages) {
    start();
    for (std::uint8_t seed = 0; seed < 5; ++seed) chunks.put(pattern(10, seed));
    for (const auto scope : {protocol::ListScope::kCachedHere, protocol::ListScope::kObjectStore}) {
        std::vector<protocol::ListEntry> all;
        ChunkId after;
        bool more = true;
        while (more) {
            send(MessageType::kChunkList, 1, protocol::ListRequest{after, 2, scope});
            settle();
            const auto list = answers();
            ASSERT_EQ(list.size(), 1U);
            const auto& page = std::get<protocol::ListAnswer>(list[0].body);
            ASSERT_LE(page.entries.size(), 2U);
            all.insert(all.end(), page.entries.begin(), page.entries.end());
            after = page.entries.back().id;
            more = page.more;
        }
        EXPECT_EQ(all.size(), 5U);
        EXPECT_EQ(all[0].size_bytes, 10U);
    }
}

TEST_F(SessionRequests, AListIsCutToThePeersMessageSize) {
    link.max_message_bytes = 1024;
    start();
    for (std::uint8_t seed = 0; seed < 40; ++seed) chunks.put(pattern(10, seed));
    send(MessageType::kChunkList, 1, protocol::ListRequest{});
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    const auto& page = std::get<protocol::ListAnswer>(list[0].body);
    EXPECT_EQ(page.entries.size(), (1024U - 9) / 36);
    EXPECT_TRUE(page.more);
}

TEST_F(SessionRequests, AListThatTheStoreCannotGiveIsUnavailable) {
    start();
    chunks.fail_all = make_error(ErrorCode::kTimeout, "");
    send(MessageType::kChunkList, 1,
         protocol::ListRequest{ChunkId(), 2, protocol::ListScope::kObjectStore});
    EXPECT_EQ(only_error(), WireError::kUnavailable);
}

TEST_F(SessionRequests, StatAnswersInTheOrderAsked) {
    start();
    const ChunkId known = chunks.put(pattern(10));
    send(MessageType::kChunkStat, 1, protocol::StatRequest{{ChunkId(), known}});
    send(MessageType::kChunkStat, 2, protocol::StatRequest{});
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 2U);
    const auto& stat = std::get<protocol::StatAnswer>(list[0].body);
    ASSERT_EQ(stat.entries.size(), 2U);
    EXPECT_EQ(stat.entries[0].residency, protocol::StatResidency::kNotStored);
    EXPECT_EQ(stat.entries[1].residency, protocol::StatResidency::kCachedHere);
    EXPECT_EQ(stat.entries[1].size_bytes, 10U);
    EXPECT_TRUE(std::get<protocol::StatAnswer>(list[1].body).entries.empty());
}

TEST_F(SessionRequests, AnAnswerOverThePeersMessageSizeIsTooLarge) {
    link.max_message_bytes = 1024;
    start();
    send(MessageType::kChunkStat, 1, protocol::StatRequest{std::vector<ChunkId>(300)});
    EXPECT_EQ(only_error(), WireError::kTooLarge);
    health = "{\"words\":\"" + std::string(2000, 'x') + "\"}";
    send(MessageType::kHealthCheck, 2, kEmpty);
    EXPECT_EQ(only_error(), WireError::kTooLarge);
}

TEST_F(SessionRequests, HealthIsTheProvidersDocument) {
    start();
    send(MessageType::kHealthCheck, 9, kEmpty);
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(std::get<protocol::HealthAnswer>(list[0].body).json, health);
}

TEST_F(SessionRequests, WhatThisWorkerDoesNotDoIsUnsupported) {
    start();
    send(MessageType::kDhtAnnounce, 1, protocol::AnnounceRequest{});
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    send(MessageType::kDhtLookup, 1, protocol::LookupRequest{});
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    send(MessageType::kAuth, 1, protocol::Auth{.worker_id = "w"});
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    send(static_cast<MessageType>(0x0D), 1, kEmpty);
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    send(MessageType::kHealthCheck, 1, kEmpty, Flag::kCompressed);
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    send(MessageType::kHealthCheck, 1, kEmpty, Flag::kEncrypted);
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    EXPECT_EQ(context->stats().malformed, 0U);
}

TEST_F(SessionRequests, CancelEndsARequestInTheMiddle) {
    start();
    link.room_bytes = 1500;
    request(1, chunks.put(pattern(10'000)));
    ASSERT_EQ(answers().size(), 1U);
    cancel(1);
    make_room(SIZE_MAX, link, channel);
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kCancelled);
    EXPECT_EQ(list[0].header.type, MessageType::kChunkResponse);
    EXPECT_EQ(chunks.readers_open, 0U);
    EXPECT_EQ(session->info().active_requests, 0U);
}

TEST_F(SessionRequests, CancelEndsWhatWaitsForTheService) {
    start();
    chunks.hold_answers = true;
    chunks.hold_reads = true;
    request(1, chunks.put(pattern(10)));
    send(MessageType::kChunkStat, 2, protocol::StatRequest{{ChunkId()}});
    cancel(1);
    cancel(2);
    cancel(99);  // names nothing: no answer
    auto list = answers();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].error(), WireError::kCancelled);
    EXPECT_EQ(list[1].error(), WireError::kCancelled);
    // The ids are free again, and late callbacks of the old requests do not touch the new ones.
    send(MessageType::kChunkStat, 2, protocol::StatRequest{{ChunkId(), ChunkId()}});
    chunks.release_answers();
    chunks.release_reads();
    settle();
    list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(std::get<protocol::StatAnswer>(list[0].body).entries.size(), 2U);
}

TEST_F(SessionRequests, ADuplicateIdIsRefusedAndTheOldRequestUnharmed) {
    start();
    const Bytes data = pattern(3000);
    chunks.hold_reads = true;
    request(5, chunks.put(data));
    request(5, ChunkId());
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    EXPECT_EQ(context->stats().malformed, 1U);
    chunks.release_reads();
    settle();
    EXPECT_EQ(assemble(answers(), 5), data);
}

TEST_F(SessionRequests, IdsMeanSomethingOnTheirOwnChannelOnly) {
    start();
    FakeLink second;
    const ChannelHandle other = open(second);
    const Bytes data = pattern(1500);
    const ChunkId id = chunks.put(data);
    chunks.hold_reads = true;
    request(1, id);
    channel = other;
    request(1, id);
    cancel(1);
    chunks.release_reads();
    settle();
    EXPECT_EQ(assemble(answers(), 1), data);
    const auto list = answers(second);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kCancelled);
}

TEST_F(SessionRequests, CountsWhatHappens) {
    start();
    const ChunkId id = chunks.put(pattern(2000));
    request(1, id);
    request(2, ChunkId());
    settle();
    const SessionStats& stats = context->stats();
    EXPECT_EQ(stats.active_sessions, 1U);
    EXPECT_EQ(stats.total_sessions, 1U);
    EXPECT_EQ(stats.requests, 2U);
    EXPECT_EQ(stats.errors, 1U);
    EXPECT_EQ(stats.blobs_served, 1U);
    EXPECT_EQ(stats.active_requests, 0U);
    EXPECT_EQ(stats.bytes_received, 2U * 46);
    EXPECT_GT(stats.bytes_sent, 2000U + 2 * 14);
    const std::string text = metrics.to_text();
    EXPECT_NE(text.find(R"(kollator_session_requests_total{type="CHUNK_REQUEST"} 2)"),
              std::string::npos);
    EXPECT_NE(text.find(R"(kollator_session_errors_total{code="NOT_FOUND"} 1)"), std::string::npos);
    EXPECT_NE(text.find("kollator_session_first_fragment_seconds_count 1"), std::string::npos);
    session.reset();
    EXPECT_EQ(context->stats().active_sessions, 0U);
}

}  // namespace
}  // namespace kollator::session
