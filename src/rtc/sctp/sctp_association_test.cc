#include "rtc/sctp/sctp_association.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "rtc/testing/both_stacks.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

/// One end, without DTLS: packets go over as they are.
struct End : SctpObserver {
    struct Message {
        std::uint16_t stream;
        std::uint32_t ppid;
        Bytes bytes;
    };

    void on_sctp_packet(ByteSpan packet) override {
        outbox.emplace_back(packet.begin(), packet.end());
    }
    void on_sctp_connected() override { connected = true; }
    void on_sctp_message(std::uint16_t stream, std::uint32_t ppid, ByteSpan message) override {
        messages.push_back({stream, ppid, Bytes(message.begin(), message.end())});
        if (on_message) on_message();
    }
    void on_sctp_stream_reset(std::uint16_t stream) override { resets.push_back(stream); }
    void on_sctp_stream_reset_done(std::uint16_t stream) override { resets_done.push_back(stream); }
    void on_sctp_writable() override { ++times_writable; }
    void on_sctp_closed(const std::string& reason) override {
        ++times_closed;
        close_reason = reason;
    }

    SctpOptions options;
    std::unique_ptr<SctpAssociation> association;
    std::deque<Bytes> outbox;
    bool connected = false;
    int times_writable = 0;
    int times_closed = 0;
    std::string close_reason;
    std::vector<Message> messages;
    std::vector<std::uint16_t> resets;
    std::vector<std::uint16_t> resets_done;
    std::function<void()> on_message;
};

class SctpAssociationTest : public testing::BothStacks {
 protected:
    void connect() {
        for (End* end : {&a, &b}) {
            end->association = stack->make(end->options, *end);
            end->association->connect(now);
        }
        ASSERT_TRUE(run_until([this] { return a.connected && b.connected; }));
    }
    void carry(End& from, End& to) {
        std::deque<Bytes> packets;
        packets.swap(from.outbox);
        for (Bytes& packet : packets) {
            if (tamper) tamper(packet);
            if (drop && drop(packet)) continue;
            if (to.association) to.association->handle_packet(packet, now);
        }
    }
    void step() {
        for (int round = 0; round < 20; ++round) {
            carry(a, b);
            carry(b, a);
            poll();
        }
        now += milliseconds(10);
        stack->handle_timers(now);
        poll();
    }
    void poll() {
        for (End* end : {&a, &b}) {
            if (end->association) end->association->poll(now);
        }
    }
    bool run_until(const std::function<bool()>& done, Duration limit = seconds(60)) {
        const auto end = now + limit;
        while (!done()) {
            if (now >= end) return false;
            step();
        }
        return true;
    }
    static SctpSendOptions on_stream(std::uint16_t stream) {
        SctpSendOptions options;
        options.stream = stream;
        options.ppid = 53;
        return options;
    }

    SeededRandom random{1};
    std::unique_ptr<SctpStack> stack = testing::make_stack(GetParam(), random);
    TimePoint now{std::chrono::hours(1)};
    std::function<void(Bytes&)> tamper;
    std::function<bool(const Bytes&)> drop;
    End a;
    End b;
};

KOLLATOR_BOTH_STACKS(SctpAssociationTest);

TEST_P(SctpAssociationTest, CarriesStreamPpidAndBytes) {
    connect();
    ASSERT_TRUE(a.association->send(on_stream(7), as_bytes("he"), as_bytes("llo")).ok());
    ASSERT_TRUE(run_until([this] { return b.messages.size() == 1; }));
    EXPECT_EQ(b.messages[0].stream, 7);
    EXPECT_EQ(b.messages[0].ppid, 53U);
    EXPECT_EQ(as_text(b.messages[0].bytes), "hello");
}

TEST_P(SctpAssociationTest, NoPacketIsLargerThanTheMtu) {
    connect();
    std::size_t largest = 0;
    tamper = [&](Bytes& packet) { largest = std::max(largest, packet.size()); };
    ASSERT_TRUE(a.association->send(on_stream(0), {}, Bytes(200'000, 1)).ok());
    ASSERT_TRUE(run_until([this] { return b.messages.size() == 1; }));
    EXPECT_LE(largest, 1160U);
    EXPECT_GE(largest, 1150U);
}

TEST_P(SctpAssociationTest, PeersWithoutChecksumsAreUnderstood) {
    tamper = [](Bytes& packet) { std::fill(packet.begin() + 8, packet.begin() + 12, 0); };
    connect();
    ASSERT_TRUE(a.association->send(on_stream(0), {}, as_bytes("x")).ok());
    ASSERT_TRUE(run_until([this] { return b.messages.size() == 1; }));
}

TEST_P(SctpAssociationTest, ThePortsOfBothSidesMayDiffer) {
    a.options.local_port = b.options.remote_port = 5001;
    connect();
    ASSERT_TRUE(b.association->send(on_stream(0), {}, as_bytes("x")).ok());
    ASSERT_TRUE(run_until([this] { return a.messages.size() == 1; }));
}

/// Makes an INIT or INIT ACK announce 65,535 streams each way (RFC 9260 3.3.2: OS and MIS stand 12
/// bytes into the chunk).
void announce_many_streams(Bytes& packet) {
    if (packet.size() >= 28 && (packet[12] == 1 || packet[12] == 2)) {
        std::fill(packet.begin() + 24, packet.begin() + 28, 0xff);
    }
}

TEST_P(SctpAssociationTest, APeerThatAnnounces65535StreamsCostsNoMoreMemoryThanOthers) {
    const auto heap_growth = [this](bool many) {
        tamper = many ? announce_many_streams : std::function<void(Bytes&)>();
        const std::size_t before = mallinfo2().uordblks;
        connect();
        const std::size_t after = mallinfo2().uordblks;
        EXPECT_EQ(a.association->outgoing_streams(), 256);
        EXPECT_EQ(b.association->outgoing_streams(), 256);
        for (End* end : {&a, &b}) {
            end->association.reset();
            end->connected = false;
            end->outbox.clear();
        }
        return after > before ? after - before : 0;
    };
    heap_growth(false);  // what the library allocates once
    const std::size_t few = heap_growth(false);
    const std::size_t many = heap_growth(true);
    if (kSanitized) GTEST_SKIP() << "the heap is the sanitizer's";
    EXPECT_LT(many, few + 64 * 1024);
    EXPECT_LT(many, 2U * 200 * 1024);
}

TEST_P(SctpAssociationTest, SendingPastTheNegotiatedStreamsIsRefused) {
    a.options.max_streams = 16;
    connect();
    EXPECT_EQ(b.association->outgoing_streams(), 16);
    EXPECT_TRUE(b.association->send(on_stream(15), {}, as_bytes("x")).ok());
    EXPECT_EQ(b.association->send(on_stream(16), {}, as_bytes("x")).error().code,
              ErrorCode::kInvalid);
}

TEST_P(SctpAssociationTest, AMessageOverTheLimitEndsTheAssociation) {
    b.options.max_message_bytes = 10'000;
    connect();
    ASSERT_TRUE(a.association->send(on_stream(0), {}, Bytes(10'000, 1)).ok());
    ASSERT_TRUE(run_until([this] { return b.messages.size() == 1; }));
    ASSERT_TRUE(a.association->send(on_stream(0), {}, Bytes(10'001, 1)).ok());
    ASSERT_TRUE(run_until([this] { return b.times_closed == 1 && a.times_closed == 1; }));
    EXPECT_EQ(b.close_reason, "peer sent a message that is too large");
    EXPECT_EQ(a.close_reason, GetParam() == SctpImplementation::kOwn
                                  ? "peer aborted: protocol violation"
                                  : "peer closed");
    EXPECT_EQ(b.messages.size(), 1U);
}

TEST_P(SctpAssociationTest, AMessageFarOverTheLimitEndsTheAssociationBeforeItIsWhole) {
    a.options.max_message_bytes = 4 << 20;
    a.options.send_buffer_bytes = 4 << 20;
    connect();
    ASSERT_TRUE(a.association->send(on_stream(0), {}, Bytes(3 << 20, 1)).ok());
    ASSERT_TRUE(run_until([this] { return b.times_closed == 1; }));
    EXPECT_EQ(b.close_reason, "peer sent a message that is too large");
}

TEST_P(SctpAssociationTest, ZeroBytesAndUnsendableSizesAreRefused) {
    connect();
    EXPECT_EQ(a.association->send(on_stream(0), {}, {}).error().code, ErrorCode::kInvalid);
    EXPECT_EQ(a.association->send(on_stream(0), {}, Bytes(262'145, 1)).error().code,
              ErrorCode::kInvalid);
    EXPECT_TRUE(a.association->send(on_stream(0), {}, Bytes(262'144, 1)).ok());
}

TEST_P(SctpAssociationTest, NothingIsSentBeforeTheHandshake) {
    a.association = stack->make(a.options, a);
    EXPECT_EQ(a.association->send(on_stream(0), {}, as_bytes("x")).error().code,
              ErrorCode::kCancelled);
    EXPECT_EQ(a.association->writable_bytes(), 0U);
    EXPECT_EQ(a.association->outgoing_streams(), 0);
}

TEST_P(SctpAssociationTest, AbortEndsTheOtherSideAtOnceAndIsSilentHere) {
    connect();
    a.association->abort();
    EXPECT_EQ(a.association->send(on_stream(0), {}, as_bytes("x")).error().code,
              ErrorCode::kCancelled);
    carry(a, b);
    poll();
    EXPECT_EQ(b.times_closed, 1);
    EXPECT_EQ(b.close_reason, "peer closed");
    EXPECT_EQ(a.times_closed, 0);
    run_until([] { return false; }, seconds(1));
    EXPECT_EQ(b.times_closed, 1);
}

TEST_P(SctpAssociationTest, AbortFromWithinACallbackStopsTheDelivery) {
    connect();
    b.on_message = [this] { b.association->abort(); };
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(a.association->send(on_stream(0), {}, Bytes(10)).ok());
    ASSERT_TRUE(run_until([this] { return a.times_closed == 1; }));
    EXPECT_EQ(b.messages.size(), 1U);
    EXPECT_FALSE(b.association->wants_poll());
}

TEST_P(SctpAssociationTest, AnOwnerThatDoesNotPollStopsTheSenderInsteadOfFillingTheMemory) {
    connect();
    const Bytes body(60'000, 1);
    std::size_t sent = 0;
    for (int round = 0; round < 2000; ++round) {
        while (a.association->send(on_stream(0), {}, body).ok()) ++sent;
        carry(a, b);
        carry(b, a);
        a.association->poll(now);
        now += milliseconds(10);
        stack->handle_timers(now);
    }
    drop = nullptr;
    b.association->poll(now);
    std::size_t held = 0;
    for (const auto& message : b.messages) held += message.bytes.size();
    EXPECT_LE(held, SctpOptions().max_receive_buffer_bytes + (1U << 20));
    // And it goes on as soon as the owner is back, after many retransmissions in vain.
    ASSERT_TRUE(run_until([&] { return a.association->buffered_bytes() == 0; }, seconds(600)))
        << sent << " " << b.messages.size() << " " << a.association->buffered_bytes()
        << a.close_reason << b.close_reason;
    EXPECT_EQ(b.messages.size(), sent);
}

TEST_P(SctpAssociationTest, AResetOfAStreamIsSeenByBothSides) {
    connect();
    ASSERT_TRUE(a.association->send(on_stream(3), {}, Bytes(50'000, 1)).ok());
    a.association->reset_stream(3);
    ASSERT_TRUE(run_until([this] { return !b.resets.empty() && !a.resets_done.empty(); }));
    EXPECT_EQ(b.messages.size(), 1U);
    EXPECT_EQ(b.resets, std::vector<std::uint16_t>{3});
    EXPECT_EQ(a.resets_done, std::vector<std::uint16_t>{3});
    ASSERT_TRUE(a.association->send(on_stream(3), {}, as_bytes("again")).ok());
    ASSERT_TRUE(run_until([this] { return b.messages.size() == 2; }));
}

TEST_P(SctpAssociationTest, ManyResetsAtOnceAreAllDone) {
    connect();
    for (std::uint16_t stream = 0; stream < 100; ++stream) {
        ASSERT_TRUE(a.association->send(on_stream(stream), {}, as_bytes("x")).ok());
    }
    for (std::uint16_t stream = 0; stream < 100; ++stream) a.association->reset_stream(stream);
    ASSERT_TRUE(run_until([this] { return b.resets.size() == 100 && a.resets_done.size() == 100; }))
        << b.resets.size() << " " << a.resets_done.size();
}

TEST_P(SctpAssociationTest, AnUnreliableMessageIsGivenUpAndTheNextOneArrives) {
    connect();
    // Drops every packet that has the doomed message's bytes in it.
    drop = [](const Bytes& packet) {
        return std::search_n(packet.begin(), packet.end(), 16, std::uint8_t{0xdd}) != packet.end();
    };
    SctpSendOptions once = on_stream(0);
    once.max_retransmits = 0;
    ASSERT_TRUE(a.association->send(once, {}, Bytes(3000, 0xdd)).ok());
    a.association->poll(now);  // so that the next one is not in a doomed packet
    ASSERT_TRUE(a.association->send(once, {}, as_bytes("next")).ok());
    ASSERT_TRUE(run_until([this] { return !b.messages.empty(); }));
    EXPECT_EQ(as_text(b.messages[0].bytes), "next");
    ASSERT_TRUE(run_until([this] { return a.association->buffered_bytes() == 0; }));
}

TEST_P(SctpAssociationTest, ALifetimeThatPassesGivesTheMessageUp) {
    connect();
    drop = [](const Bytes& packet) {
        return std::search_n(packet.begin(), packet.end(), 16, std::uint8_t{0xdd}) != packet.end();
    };
    SctpSendOptions brief = on_stream(0);
    brief.max_lifetime_ms = 1;
    ASSERT_TRUE(a.association->send(brief, {}, Bytes(100, 0xdd)).ok());
    ASSERT_TRUE(a.association->send(on_stream(0), {}, as_bytes("next")).ok());
    ASSERT_TRUE(run_until([this] { return !b.messages.empty(); }));
    EXPECT_EQ(as_text(b.messages[0].bytes), "next");
}

TEST_P(SctpAssociationTest, RandomPacketsDoNoHarm) {
    connect();
    SeededRandom garbage(3);
    for (int i = 0; i < 3000; ++i) {
        Bytes packet(garbage.u32() % 200);
        garbage.fill(packet);
        b.association->handle_packet(packet, now);
    }
    // Real packets with single bytes changed, too. Any of them may end the association, but no
    // more.
    for (int i = 0; i < 50; ++i) {
        static_cast<void>(a.association->send(on_stream(1), {}, Bytes(500, 1)));
        a.association->poll(now);
        for (Bytes packet : std::exchange(a.outbox, {})) {
            for (int change = 0; change < 20; ++change) {
                Bytes changed = packet;
                changed[garbage.u32() % changed.size()] = static_cast<std::uint8_t>(garbage.u32());
                b.association->handle_packet(changed, now);
            }
        }
        step();
    }
    SUCCEED();
}

}  // namespace
}  // namespace kollator::rtc
