#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "protocol/any_body.h"
#include "session/session.h"
#include "session/session_fakes.h"

// A session with everything around it, for tests.
namespace kollator::session {

/// A message that the session sent, taken apart.
struct Answer {
    protocol::Header header;
    protocol::AnyBody body;  // views into the link's messages: valid while those are

    protocol::WireError error() const {
        const auto* found = std::get_if<protocol::ErrorBody>(&body);
        return found == nullptr ? protocol::WireError{} : found->code;
    }
};

class SessionTest : public ::testing::Test {
 protected:
    SessionTest() { limits.fragment_data_bytes = 1000; }
    ~SessionTest() override { session.reset(); }

    /// Makes the session with one channel over `link`. Limits are changed before.
    void start() {
        context = std::make_unique<SessionContext>(SessionServices{chunks,
                                                                   loop,
                                                                   clock,
                                                                   metrics,
                                                                   limits,
                                                                   "worker-001",
                                                                   "kollator/test",
                                                                   {"metadata"},
                                                                   [this] { return health; },
                                                                   authenticator,
                                                                   discovery});
        session = make_session(
            *context,
            {"test", [this](const std::string& reason) { close_reasons.push_back(reason); },
             [this] { return fingerprints; }});
        channel = open(link);
    }
    ChannelHandle open(FakeLink& to) {
        auto handle = session->add_channel(std::make_unique<FakeTransport>(to));
        EXPECT_TRUE(handle.ok());
        return *handle;
    }

    template <typename Body>
    void send(protocol::MessageType type, std::uint32_t id, const Body& body,
              protocol::Flags flags = {}) {
        receive(protocol::encode_message({type, flags, protocol::RequestId{id}}, body));
    }
    void receive(const Bytes& message) { session->on_message(channel, message, true); }
    void request(std::uint32_t id, const ChunkId& chunk, std::uint32_t offset = 0,
                 std::uint32_t length = 0) {
        send(protocol::MessageType::kChunkRequest, id,
             protocol::ChunkRequest{chunk, offset, length});
    }
    void store(std::uint32_t id, const ChunkId& chunk, std::size_t total, std::size_t offset,
               ByteSpan data, bool more) {
        send(protocol::MessageType::kChunkStore, id,
             protocol::ChunkStore{chunk, static_cast<std::uint32_t>(total),
                                  static_cast<std::uint32_t>(offset), data},
             more ? protocol::Flags(protocol::Flag::kMore) : protocol::Flags());
    }
    void cancel(std::uint32_t id) {
        send(protocol::MessageType::kCancel, id, protocol::AnyBody(protocol::EmptyBody{}));
    }
    void make_room(std::size_t bytes, FakeLink& to, ChannelHandle handle) {
        to.room_bytes = bytes;
        session->on_writable(handle);
    }

    /// Runs what is posted, and what that posts, a few times over.
    void settle() {
        for (int round = 0; round < 8; ++round) {
            bool done = false;
            loop.post([&] { done = true; });
            ASSERT_TRUE(loop.run_until([&] { return done; }, std::chrono::seconds(60)));
        }
    }

    /// All that was sent since the last call, decoded. Keeps the bytes for as long as the test.
    std::vector<Answer> answers() { return answers(link); }
    std::vector<Answer> answers(FakeLink& from) {
        std::vector<Answer> list;
        for (Bytes& bytes : from.sent) {
            const Bytes& kept = kept_.emplace_back(std::move(bytes));
            const auto message = protocol::decode_message(kept);
            if (!message.ok()) {
                ADD_FAILURE() << message.error().detail;
                continue;
            }
            EXPECT_TRUE(message->header.flags.has(protocol::Flag::kResponse));
            auto body = protocol::decode_body(*message);
            if (!body.ok()) {
                // Errors of unknown types decode as errors; all else must be well-formed.
                ADD_FAILURE() << body.error().detail;
                continue;
            }
            list.push_back({message->header, *body});
        }
        from.sent.clear();
        return list;
    }
    /// The one error that was sent since the last call; kBadRequest's number is 1, none is 0.
    protocol::WireError only_error() {
        settle();
        const auto list = answers();
        EXPECT_EQ(list.size(), 1U);
        return list.size() == 1 ? list[0].error() : protocol::WireError{};
    }
    /// Puts the fragments of `id` in `list` together; checks offsets and MORE.
    static Bytes assemble(const std::vector<Answer>& list, std::uint32_t id) {
        Bytes data;
        bool ended = false;
        for (const Answer& answer : list) {
            if (answer.header.request_id != protocol::RequestId{id}) continue;
            const auto& fragment = std::get<protocol::ResponseFragment>(answer.body);
            EXPECT_FALSE(ended);
            EXPECT_EQ(fragment.offset, first_offset(list, id) + data.size());
            data.insert(data.end(), fragment.data.begin(), fragment.data.end());
            ended = !answer.header.flags.has(protocol::Flag::kMore);
        }
        EXPECT_TRUE(ended) << "the last fragment is missing";
        return data;
    }
    static std::uint32_t first_offset(const std::vector<Answer>& list, std::uint32_t id) {
        for (const Answer& answer : list) {
            if (answer.header.request_id == protocol::RequestId{id}) {
                return std::get<protocol::ResponseFragment>(answer.body).offset;
            }
        }
        return 0;
    }
    static Bytes pattern(std::size_t size, std::uint8_t seed = 1) {
        Bytes bytes(size);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<std::uint8_t>((i * 31 + i / 256 + seed) & 0xFF);
        }
        return bytes;
    }

    EventLoop loop;
    ManualClock clock;
    MetricsRegistry metrics;
    SessionLimits limits;
    FakeChunkService chunks{loop};
    FakeLink link;
    std::string health = R"({"status":"healthy"})";
    cluster::Authenticator* authenticator = nullptr;
    Discovery* discovery = nullptr;
    std::optional<cluster::LinkFingerprints> fingerprints;
    std::vector<std::string> close_reasons;
    std::unique_ptr<SessionContext> context;
    std::unique_ptr<Session> session;
    ChannelHandle channel{};

 private:
    std::deque<Bytes> kept_;
};

}  // namespace kollator::session
