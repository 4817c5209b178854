// Stores: fragments, compression, seals.
#include "peer/requests_harness.h"

namespace kollator::peer {
namespace {

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

class PackedTest : public StoreTest {
 protected:
    void greet(std::vector<std::string> ours, std::vector<std::string> theirs) {
        make();
        const RequestId id =
            requests_->hello({.accept = std::move(ours)},
                             [](Result<protocol::Hello> hello) { EXPECT_TRUE(hello.ok()); });
        Bytes body;
        protocol::encode(
            protocol::Hello{.role = protocol::Role::kWorker, .accept = std::move(theirs)}, body);
        answer(MessageType::kHello, {}, id, body);
        ASSERT_TRUE(until_sent(1));
        wire_.sent.clear();
    }
    static SharedBuffer text(std::size_t size) {
        auto buffer = std::make_shared<Buffer>(size);
        for (std::size_t i = 0; i < size; ++i) {
            buffer->data()[i] = static_cast<std::uint8_t>("a line of text\n"[i % 15]);
        }
        return buffer;
    }
};

TEST_F(PackedTest, CompressesForAWorkerThatAcceptsIt) {
    greet({}, {"deflate-raw"});
    wire_.room = 10;  // what was compressed waits for room as it is
    const SharedBuffer chunk = text(150'000);
    store(chunk);
    bool turned = false;
    Timer timer(loop_);
    timer.start_after(milliseconds(1), [&] { turned = true; });
    ASSERT_TRUE(until([&] { return turned; }));
    wire_.room = 1 << 20;
    requests_->on_writable();
    ASSERT_TRUE(until_sent(3));
    protocol::Inflater inflater;
    Bytes all;
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(sent(i).header.flags.has(Flag::kCompressed));
        EXPECT_LT(sent(i).body.size(), 2000U);
        const auto body = inflater.unpack(sent(i).body, 66'000);
        ASSERT_TRUE(body.ok());
        const auto fragment = protocol::decode_chunk_store(*body);
        all.insert(all.end(), fragment->data.begin(), fragment->data.end());
    }
    EXPECT_TRUE(std::ranges::equal(all, chunk->span()));
}

TEST_F(PackedTest, DoesNotForOneThatDoesNotNorForNoise) {
    greet({"deflate-raw"}, {});
    store(text(150'000));
    ASSERT_TRUE(until_sent(3));
    EXPECT_FALSE(sent(0).header.flags.has(Flag::kCompressed));
    wire_.sent.clear();
    greet({}, {"deflate-raw"});
    store(random_bytes(150'000));
    ASSERT_TRUE(until_sent(3));
    EXPECT_FALSE(sent(0).header.flags.has(Flag::kCompressed));
}

TEST_F(PackedTest, InflatesWhatItAcceptedWithinAMessagesBytes) {
    greet({"deflate-raw"}, {});
    std::vector<Result<SharedBuffer>> got;
    const auto keep = [&](Result<SharedBuffer> result) { got.push_back(std::move(result)); };
    const SharedBuffer chunk = text(50'000);
    Bytes body;
    protocol::encode(protocol::ResponseFragment{50'000, 0, chunk->span()}, body);
    protocol::Deflater deflater;
    protocol::PackTrial trial;
    const RequestId id = requests_->fetch(name_of(chunk), 100'000, {}, keep);
    answer(MessageType::kChunkResponse, Flag::kCompressed, id, deflater.pack({}, body, trial));
    ASSERT_EQ(got.size(), 1U);
    ASSERT_TRUE(got[0].ok()) << got[0].error().detail;
    EXPECT_TRUE(std::ranges::equal((*got[0])->span(), chunk->span()));

    const Bytes bomb(300'000, 0);
    const RequestId second = requests_->fetch(name_of(chunk), 1'000'000, {}, keep);
    answer(MessageType::kChunkResponse, Flag::kCompressed, second, deflater.pack({}, bomb, trial));
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(got[1].error().code, ErrorCode::kLimit);
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
