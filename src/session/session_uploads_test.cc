// CHUNK_STORE and METADATA_STORE.
#include "session/session_harness.h"

namespace kollator::session {
namespace {

using protocol::Flag;
using protocol::MessageType;
using protocol::WireError;
using std::chrono::seconds;

class SessionUploads : public SessionTest {
 protected:
    static ChunkId name(ByteSpan bytes) { return FakeChunkService::name_of<ChunkId>(bytes); }
    static ByteSpan part(const Bytes& bytes, std::size_t offset, std::size_t size) {
        return ByteSpan(bytes).subspan(offset, size);
    }

    const Bytes data = pattern(3000);
    const ChunkId id = name(data);
};

TEST_F(SessionUploads, AStoreInOneMessage) {
    start();
    store(1, id, 3000, 0, data, false);
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].header.type, MessageType::kChunkStore);
    EXPECT_EQ(std::get<protocol::StoreAnswer>(list[0].body), protocol::StoreAnswer{});
    EXPECT_TRUE(chunks.has(id));
    EXPECT_EQ(session->info().upload_bytes, 0U);
    EXPECT_EQ(context->stats().blobs_stored, 1U);
    store(2, id, 3000, 0, data, false);
    settle();
    const auto again = answers();
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(std::get<protocol::StoreAnswer>(again[0].body).status,
              protocol::StoreStatus::kAlreadyThere);
}

TEST_F(SessionUploads, FragmentsInAnyOrderOnAnUnorderedChannel) {
    link.ordered = false;
    start();
    store(1, id, 3000, 2000, part(data, 2000, 1000), false);
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    EXPECT_EQ(session->info().upload_bytes, 3000U);
    EXPECT_TRUE(answers().empty());
    store(1, id, 3000, 1000, part(data, 1000, 1000), true);
    settle();
    ASSERT_EQ(answers().size(), 1U);
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionUploads, MetadataGoesToItsOwnStore) {
    start();
    const MetadataId info(crypto::sha256(data));
    send(MessageType::kMetadataStore, 1, protocol::MetadataStore{info, 3000, 0, data});
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].header.type, MessageType::kMetadataStore);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
}

TEST_F(SessionUploads, BytesThatDoNotMatchTheNameAreRefused) {
    start();
    store(1, ChunkId(), 3000, 0, data, false);
    EXPECT_EQ(only_error(), WireError::kHashMismatch);
    EXPECT_FALSE(chunks.has(ChunkId()));
    chunks.fail_all = make_error(ErrorCode::kUnavailable, "");
    store(1, id, 3000, 0, data, false);
    EXPECT_EQ(only_error(), WireError::kUnavailable);
}

TEST_F(SessionUploads, AnOverlapIsRefusedOnceAndTheRestIgnored) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    store(1, id, 3000, 500, part(data, 500, 1000), true);
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    store(1, id, 3000, 1500, part(data, 1500, 500), true);
    store(1, id, 3000, 2000, part(data, 2000, 1000), false);
    settle();
    EXPECT_TRUE(answers().empty());
    EXPECT_EQ(session->info().upload_bytes, 0U);
    EXPECT_EQ(session->info().active_requests, 0U);
    // The last one has come: the id may be used anew.
    store(1, id, 3000, 0, data, false);
    settle();
    EXPECT_EQ(answers().size(), 1U);
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionUploads, ATotalThatChangesIsRefused) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    store(1, id, 2999, 1000, part(data, 1000, 1000), true);
    EXPECT_EQ(only_error(), WireError::kBadRequest);
}

TEST_F(SessionUploads, AnEarlyEndOnAnOrderedChannelIsRefused) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), false);
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    EXPECT_EQ(session->info().upload_bytes, 0U);
}

TEST_F(SessionUploads, AFragmentThatCannotBeReadEndsItsUpload) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    store(1, id, 3000, 2500, part(data, 0, 1000), true);  // past the total
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    EXPECT_EQ(session->info().upload_bytes, 0U);
    EXPECT_EQ(context->stats().malformed, 1U);
}

TEST_F(SessionUploads, AnotherNameUnderAnActiveIdLeavesTheOldUploadAlone) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    store(1, ChunkId(), 3000, 0, part(data, 0, 1000), true);
    EXPECT_EQ(only_error(), WireError::kBadRequest);
    store(1, ChunkId(), 3000, 1000, part(data, 0, 1000), true);
    settle();
    EXPECT_TRUE(answers().empty()) << "what follows the refused one is ignored";
    store(1, id, 3000, 1000, part(data, 1000, 2000), false);
    settle();
    EXPECT_EQ(answers().size(), 1U);
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionUploads, AChunkOverTheSizeLimitIsTooLarge) {
    start();
    for (int fragment = 0; fragment < 3; ++fragment) {
        store(1, id, 5 * 1024 * 1024 + 1, fragment * 1000, part(data, 0, 1000), true);
    }
    EXPECT_EQ(only_error(), WireError::kTooLarge) << "one answer for all fragments";
    EXPECT_EQ(context->stats().malformed, 0U);
}

TEST_F(SessionUploads, OverTheBudgetOfAllTheAnswerIsBusy) {
    start();
    chunks.allocated_bytes_limit = 2999;
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    settle();
    auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].error(), WireError::kBusy);
    EXPECT_EQ(std::get<protocol::ErrorBody>(list[0].body).retry_after_ms, 1000U);
    chunks.allocated_bytes_limit = 3000;
    store(2, id, 3000, 0, data, false);  // a new try under a new id
    settle();
    list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
}

TEST_F(SessionUploads, OverTheBudgetOfTheConnectionTheAnswerIsBusy) {
    limits.max_upload_bytes = 5000;
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    store(2, id, 3000, 0, data, false);
    EXPECT_EQ(only_error(), WireError::kBusy);
    store(1, id, 3000, 1000, part(data, 1000, 2000), false);
    settle();
    EXPECT_EQ(answers().size(), 1U);
    store(2, id, 3000, 0, data, false);
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
}

TEST_F(SessionUploads, AnUploadWithoutProgressTimesOut) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    clock.advance(seconds(59));
    store(1, id, 3000, 1000, part(data, 1000, 1000), true);
    clock.advance(seconds(59));
    context->sweep();
    EXPECT_EQ(session->info().active_requests, 1U);
    clock.advance(seconds(1));
    context->sweep();
    EXPECT_EQ(only_error(), WireError::kBusy);
    EXPECT_EQ(session->info().active_requests, 0U);
    EXPECT_EQ(session->info().upload_bytes, 0U);
    store(1, id, 3000, 2000, part(data, 2000, 1000), false);
    settle();
    EXPECT_TRUE(answers().empty()) << "it came too late, and its refusal was told";
}

TEST_F(SessionUploads, AnUploadThatTricklesEndsToo) {
    start();
    std::size_t sent = 0;
    for (; session->info().active_requests == (sent > 0 ? 1U : 0U) && sent < 100; ++sent) {
        store(1, id, 3000, sent, part(data, sent, 1), true);
        clock.advance(seconds(50));
        context->sweep();
    }
    EXPECT_EQ(sent, 15U * 60 / 50);
    EXPECT_EQ(only_error(), WireError::kBusy);
}

TEST_F(SessionUploads, WhatFollowsARefusalIsIgnoredForABoundedTimeOnly) {
    start();
    store(1, id, 5 * 1024 * 1024 + 1, 0, part(data, 0, 1000), true);
    EXPECT_EQ(only_error(), WireError::kTooLarge);
    clock.advance(seconds(30));
    context->sweep();
    store(1, id, 5 * 1024 * 1024 + 1, 0, part(data, 0, 1000), true);
    EXPECT_EQ(only_error(), WireError::kTooLarge);
}

TEST_F(SessionUploads, CompressedFragmentsAreRefusedOnce) {
    start();
    for (int i = 0; i < 5; ++i) {
        send(MessageType::kChunkStore, 1, protocol::ChunkStore{id, 3000, 0, data},
             i < 4 ? Flag::kCompressed | Flag::kMore : protocol::Flags(Flag::kCompressed));
    }
    EXPECT_EQ(only_error(), WireError::kUnsupported);
    store(1, id, 3000, 0, data, false);
    settle();
    EXPECT_EQ(answers().size(), 1U);
    EXPECT_TRUE(chunks.has(id));
}

TEST_F(SessionUploads, CancelEndsAnUploadThatIsNotComplete) {
    start();
    store(1, id, 3000, 0, part(data, 0, 1000), true);
    cancel(1);
    EXPECT_EQ(only_error(), WireError::kCancelled);
    store(1, id, 3000, 1000, part(data, 1000, 1000), true);
    settle();
    EXPECT_TRUE(answers().empty());
}

TEST_F(SessionUploads, CancelComesTooLateForWhatIsBeingStored) {
    start();
    chunks.hold_answers = true;
    store(1, id, 3000, 0, data, false);
    cancel(1);
    chunks.release_answers();
    settle();
    const auto list = answers();
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<protocol::StoreAnswer>(list[0].body));
}

}  // namespace
}  // namespace kollator::session
