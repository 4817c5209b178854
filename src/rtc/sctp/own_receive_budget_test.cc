// What all associations of a stack hold unread, whatever their peers do.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rtc/sctp/packet/sack_chunk.h"
#include "rtc/testing/scripted_sctp_peer.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;
using testing::ScriptedSctpPeer;
namespace chunk_type = sctp::chunk_type;

constexpr std::size_t kBudgetBytes = 8 * 1024 * 1024;
/// A quarter more, and the packet that did it.
constexpr std::size_t kMostBytes = kBudgetBytes + kBudgetBytes / 4 + 64 * 1024;
constexpr std::size_t kFragmentBytes = 1000;

class OwnReceiveBudget : public ::testing::Test {
 protected:
    OwnReceiveBudget() : stack(make_sctp_stack(random, {kBudgetBytes, kBudgetBytes})) {}

    void connect(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            peers.push_back(std::make_unique<ScriptedSctpPeer>());
            peers.back()->connect_to(*stack);
        }
    }
    /// `count` fragments from the one numbered `first` on, of messages of `length` each, in packets
    /// of 16 kB.
    void give(ScriptedSctpPeer& peer, std::uint32_t first, std::uint32_t count,
              std::uint32_t length) {
        constexpr std::uint32_t kAtOnce = 15;
        const std::string text(kFragmentBytes, 'x');
        for (std::uint32_t at = first; at < first + count; at += kAtOnce) {
            std::vector<Bytes> values;
            std::vector<sctp::Chunk> chunks;
            for (std::uint32_t i = at; i < std::min(at + kAtOnce, first + count); ++i) {
                values.push_back(ScriptedSctpPeer::data(ScriptedSctpPeer::kFirstTsn + i, 0,
                                                        static_cast<std::uint16_t>(i / length),
                                                        text));
                const int flags = (i % length == 0 ? 2 : 0) | (i % length == length - 1 ? 1 : 0);
                chunks.push_back({chunk_type::kData, static_cast<std::uint8_t>(flags), {}});
            }
            for (std::size_t i = 0; i < chunks.size(); ++i) chunks[i].value = values[i];
            if (peer.times_closed == 0) peer.give(peer.local_tag, chunks);
            ASSERT_LE(stack->stats().unread_bytes, kMostBytes);
        }
    }
    void poll_all() {
        for (const auto& peer : peers) peer->association->poll(peer->now);
    }
    int closed() const {
        int sum = 0;
        for (const auto& peer : peers) sum += peer->times_closed;
        return sum;
    }
    /// By its latest SACK.
    static std::uint32_t told_window(ScriptedSctpPeer& peer) {
        while (!peer.sent.empty()) {
            const std::vector<Bytes> sent = std::exchange(peer.sent, {peer.sent.back()});
            const Bytes value = peer.find(chunk_type::kSack);
            if (!value.empty()) return sctp::SackChunk::parse(value)->window_bytes();
            peer.sent.assign(sent.begin(), sent.end() - 1);
        }
        return 0xffffffff;
    }

    SeededRandom random{5};
    std::unique_ptr<SctpStack> stack;
    std::vector<std::unique_ptr<ScriptedSctpPeer>> peers;
};

TEST_F(OwnReceiveBudget, HoldsForWhatLiesBehindHoles) {
    connect(60);
    for (const auto& peer : peers) give(*peer, 1, 450, 1);
    poll_all();
    EXPECT_GT(closed(), 0);
    EXPECT_LT(closed(), 40);
    for (const auto& peer : peers) {
        if (peer->times_closed == 0) continue;
        EXPECT_EQ(peer->close_reason, "too much was received and not read");
        EXPECT_FALSE(peer->find(chunk_type::kAbort).empty());
    }
    peers.clear();
    EXPECT_EQ(stack->stats().unread_bytes, 0U);
}

TEST_F(OwnReceiveBudget, HoldsForMessagesThatAreNotFinished) {
    connect(60);
    for (const auto& peer : peers) give(*peer, 0, 250, 1000);
    poll_all();
    EXPECT_GT(closed(), 0);
}

TEST_F(OwnReceiveBudget, HoldsForWhatIsNotRead) {
    connect(60);
    for (const auto& peer : peers) {
        peer->association->set_reading(false);
        give(*peer, 0, 450, 1);
    }
    EXPECT_GE(stack->stats().unread_bytes, kBudgetBytes);
    for (const auto& peer : peers) peer->association->set_reading(true);
    poll_all();
    EXPECT_GT(closed(), 0);
    EXPECT_EQ(stack->stats().unread_bytes, 0U);
}

TEST_F(OwnReceiveBudget, WhoHoldsNothingGoesOnWhenOthersHoldAll) {
    connect(21);
    for (std::size_t i = 1; i < peers.size(); ++i) give(*peers[i], 1, 450, 1);
    ASSERT_GE(stack->stats().unread_bytes, kBudgetBytes);
    ScriptedSctpPeer& honest = *peers[0];
    give(honest, 0, 250, 250);
    ASSERT_EQ(honest.messages.size(), 1U);
    EXPECT_EQ(honest.messages[0].bytes.size(), 250 * kFragmentBytes);
    EXPECT_EQ(honest.times_closed, 0);
    EXPECT_GE(told_window(honest), 64U * 1024);
    give(*peers[1], 500, 1, 1);
    EXPECT_EQ(told_window(*peers[1]), 0U);
}

TEST_F(OwnReceiveBudget, AnIdlePeerHearsThatItsWindowShrank) {
    connect(1);
    ScriptedSctpPeer& peer = *peers[0];
    give(peer, 0, 3000, 100);
    EXPECT_GT(told_window(peer), 1'000'000U);
    for (int i = 0; i < 3; ++i) {
        peer.now += seconds(30);
        stack->handle_timers(peer.now);
        peer.association->poll(peer.now);
    }
    EXPECT_EQ(told_window(peer), 512U * 1024);
}

}  // namespace
}  // namespace kollator::rtc
