#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "crypto/hash.h"
#include "peer/requests.h"

// Requests over a wire in memory, for tests.
namespace kollator::peer {

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
    std::uint64_t signs_of_life() const override { return signs; }

    std::size_t room = 1 << 30;
    std::size_t max_message = 262'144;
    std::size_t buffered = 0;
    std::uint64_t signs = 0;
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

inline SharedBuffer random_bytes(std::size_t size) {
    SeededRandom random(size);
    auto buffer = std::make_shared<Buffer>(size);
    random.fill(buffer->span());
    return buffer;
}

inline ChunkId name_of(const SharedBuffer& bytes) {
    return ChunkId(crypto::sha256(bytes->span()));
}

}  // namespace kollator::peer
