#include "peer/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "crypto/hash.h"

namespace kollator::peer {
namespace {

using protocol::Flag;
using protocol::Flags;
using protocol::Header;
using protocol::Message;
using protocol::MessageType;
using protocol::WireError;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kHead = protocol::kHeaderBytes;

/// Keeps what was sent; takes `room` bytes.
class MemoryWire final : public Wire {
 public:
    Status send(ByteSpan head, ByteSpan body) override {
        if (head.size() + body.size() > room) return make_error(ErrorCode::kLimit, "no room");
        room -= head.size() + body.size();
        Bytes message(head.begin(), head.end());
        message.insert(message.end(), body.begin(), body.end());
        sent.push_back(std::move(message));
        return {};
    }
    std::size_t max_message_bytes() const override { return max_message; }
    std::size_t buffered_bytes() const override { return buffered; }

    std::size_t room = 1 << 30;
    std::size_t max_message = 262'144;
    std::size_t buffered = 0;
    std::vector<Bytes> sent;
};

class RequestsTest : public ::testing::Test {
 protected:
    void make(RequestLimits limits = {}) {
        requests_ = std::make_unique<Requests>(loop_, wire_, limits);
    }
    bool until(const std::function<bool()>& done) { return loop_.run_until(done, seconds(30)); }
    bool until_sent(std::size_t count) {
        return until([&] { return wire_.sent.size() >= count; });
    }
    Message sent(std::size_t index) { return *protocol::decode_message(wire_.sent.at(index)); }

    void answer(MessageType type, Flags flags, RequestId id, ByteSpan body) {
        const auto head = protocol::encode_header({type, flags | Flag::kResponse, id});
        Bytes message(head.begin(), head.end());
        message.insert(message.end(), body.begin(), body.end());
        requests_->on_message(message, true);
    }
    void answer_fragment(RequestId id, std::uint32_t total, std::uint32_t offset, ByteSpan data,
                         Flags flags, MessageType type = MessageType::kChunkResponse) {
        Bytes body;
        protocol::encode(protocol::ResponseFragment{total, offset, data}, body);
        answer(type, flags, id, body);
    }
    void answer_error(MessageType type, RequestId id, WireError code, std::uint32_t retry_ms = 0) {
        Bytes body;
        protocol::encode(protocol::ErrorBody{code, retry_ms, "so it is"}, body);
        answer(type, Flag::kError, id, body);
    }

    EventLoop loop_;
    MemoryWire wire_;
    std::unique_ptr<Requests> requests_;
};

SharedBuffer random_bytes(std::size_t size) {
    SeededRandom random(size);
    auto buffer = std::make_shared<Buffer>(size);
    random.fill(buffer->span());
    return buffer;
}

ChunkId name_of(const SharedBuffer& bytes) {
    return ChunkId(crypto::sha256(bytes->span()));
}

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

class StoreTest : public RequestsTest {
 protected:
    RequestId store(const SharedBuffer& bytes) {
        return requests_->store(
            name_of(bytes), bytes, {},
            [this](Result<protocol::StoreAnswer> got) { got_.push_back(std::move(got)); });
    }
    std::vector<Result<protocol::StoreAnswer>> got_;
};

TEST_F(StoreTest, SendsFragmentsAsTheWireHasRoom) {
    make();
    wire_.room = 70'000;
    const SharedBuffer chunk = random_bytes(150'000);
    const RequestId id = store(chunk);
    ASSERT_TRUE(until_sent(1));
    EXPECT_EQ(wire_.sent.size(), 1U);
    EXPECT_EQ(requests_->unsent_blob_bytes(), 150'000U - 65'536);
    wire_.room = 1 << 20;
    requests_->on_writable();
    ASSERT_TRUE(until_sent(3));
    Bytes all;
    for (std::size_t i = 0; i < 3; ++i) {
        const auto fragment = protocol::decode_chunk_store(sent(i).body);
        EXPECT_EQ(fragment->id, name_of(chunk));
        EXPECT_EQ(fragment->offset, all.size());
        EXPECT_EQ(sent(i).header.flags.has(Flag::kMore), i < 2);
        all.insert(all.end(), fragment->data.begin(), fragment->data.end());
    }
    EXPECT_TRUE(std::ranges::equal(all, chunk->span()));
    answer(MessageType::kChunkStore, {}, id, Bytes{0, 2});
    ASSERT_EQ(got_.size(), 1U);
    EXPECT_EQ(got_[0]->durability, protocol::StoreDurability::kObjectStore);
}

TEST_F(StoreTest, NoMessageIsOverTheWorkersLimit) {
    make();
    wire_.max_message = 4096;
    store(random_bytes(20'000));
    ASSERT_TRUE(until_sent(5));
    for (const Bytes& message : wire_.sent) EXPECT_LE(message.size(), 4096U);
    bool refused = false;
    requests_->stat(std::vector<ChunkId>(1000), [&](auto answer) {
        EXPECT_EQ(answer.error().code, ErrorCode::kInvalid);
        refused = true;
    });
    EXPECT_TRUE(until([&] { return refused; }));
}

TEST_F(StoreTest, SmallRequestsDoNotWaitForBlobs) {
    make();
    wire_.room = 66'000;
    store(random_bytes(150'000));
    ASSERT_TRUE(until_sent(1));
    requests_->health([](auto) {});
    wire_.room = 66'000;
    requests_->on_writable();
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).header.type, MessageType::kHealthCheck);
}

TEST_F(StoreTest, StopsSendingWhatTheWorkerHasRefused) {
    make();
    wire_.room = 70'000;
    const RequestId id = store(random_bytes(150'000));
    ASSERT_TRUE(until_sent(1));
    answer_error(MessageType::kChunkStore, id, WireError::kBusy, 10);
    ASSERT_EQ(got_.size(), 1U);
    EXPECT_EQ(got_[0].error().code, ErrorCode::kLimit);
    wire_.room = 1 << 20;
    const RequestId next = store(random_bytes(100));
    requests_->on_writable();
    ASSERT_TRUE(until_sent(2));
    EXPECT_EQ(sent(1).header.request_id, next);
    EXPECT_EQ(wire_.sent.size(), 2U);
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

/// Turns bits; its counter shows the order in which messages were sealed.
class FlippingCipher final : public BodyCipher {
 public:
    Result<Bytes> seal(const Header&, ByteSpan body) override {
        Bytes sealed{counter_++};
        for (const std::uint8_t byte : body) sealed.push_back(static_cast<std::uint8_t>(~byte));
        return sealed;
    }
    Result<Bytes> open(const Header&, ByteSpan body) override {
        Bytes plain;
        for (const std::uint8_t byte : body.subspan(1)) {
            plain.push_back(static_cast<std::uint8_t>(~byte));
        }
        return plain;
    }
    std::size_t overhead_bytes() const override { return 1; }

 private:
    std::uint8_t counter_ = 0;
};

TEST_F(StoreTest, SealedMessagesGoInTheOrderOfTheirCounters) {
    make();
    requests_->set_cipher(std::make_unique<FlippingCipher>());
    wire_.room = 70'000;
    const SharedBuffer chunk = random_bytes(200'000);
    const RequestId id = store(chunk);
    ASSERT_TRUE(until_sent(1));
    requests_->health([](auto) {});
    for (std::size_t count = 2; count <= 5; ++count) {
        wire_.room = 70'000;
        requests_->on_writable();
        ASSERT_TRUE(until_sent(count)) << count;
    }
    Bytes all;
    for (std::size_t i = 0; i < wire_.sent.size(); ++i) {
        EXPECT_TRUE(sent(i).header.flags.has(Flag::kEncrypted));
        EXPECT_EQ(wire_.sent[i].at(kHead), i);
        if (sent(i).header.type != MessageType::kChunkStore) continue;
        const Bytes plain = *FlippingCipher().open({}, sent(i).body);
        const auto fragment = protocol::decode_chunk_store(plain);
        all.insert(all.end(), fragment->data.begin(), fragment->data.end());
    }
    EXPECT_TRUE(std::ranges::equal(all, chunk->span()));
    answer(MessageType::kChunkStore, Flag::kEncrypted, id, Bytes{9, 0xFF, 0xFD});
    ASSERT_EQ(got_.size(), 1U);
    EXPECT_TRUE(got_[0].ok());
}

}  // namespace
}  // namespace kollator::peer
