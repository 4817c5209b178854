// Messages over links that lose, double and reorder: between two of our own associations, and
// between ours and usrsctp.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "rtc/testing/sctp_pair.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SctpEnd;
using testing::SctpLink;
using testing::SctpPair;

Bytes pattern(std::uint32_t number, std::size_t size) {
    Bytes bytes(std::max<std::size_t>(size, 4));
    SeededRandom random(number);
    random.fill(bytes);
    store_u32(bytes.data(), number);
    return bytes;
}

/// Sends numbered messages on some streams, the odd ones unordered, as fast as they are taken; and
/// checks what comes: every one once, right, and in order where that was promised.
class Exchange {
 public:
    Exchange(SctpEnd& from, SctpEnd& to, std::uint64_t seed, std::uint32_t count)
        : from_(from), to_(to), random_(seed), count_(count) {
        from_.on_writable = [this] { pump(); };
        pump();
    }

    bool done() {
        check();
        return seen_.size() == count_;
    }

 private:
    void pump() {
        for (; next_ < count_; ++next_, size_ = 0) {
            if (size_ == 0) {
                const std::uint32_t kind = random_.u32() % 10;
                size_ = 4 + random_.u32() % (kind < 6 ? 2000 : kind < 9 ? 20'000 : 262'000);
                options_.stream = static_cast<std::uint16_t>(random_.u32() % 6);
                options_.ordered = options_.stream % 2 == 0;
                options_.ppid = 53;
            }
            if (!from_.association->send(options_, {}, pattern(next_, size_)).ok()) return;
        }
    }
    void check() {
        for (; checked_ < to_.messages.size(); ++checked_) {
            const SctpEnd::Message& message = to_.messages[checked_];
            const std::uint32_t number = load_u32(message.bytes.data());
            ASSERT_LT(number, count_);
            ASSERT_EQ(message.bytes, pattern(number, message.bytes.size())) << number;
            ASSERT_TRUE(seen_.insert({number, true}).second) << number << " came twice";
            if (message.stream % 2 != 0) continue;
            const auto [last, first] = last_.try_emplace(message.stream, number);
            ASSERT_TRUE(first || last->second < number) << number << " came late";
            last->second = number;
        }
    }

    SctpEnd& from_;
    SctpEnd& to_;
    SeededRandom random_;
    SctpSendOptions options_;
    std::size_t size_ = 0;
    std::uint32_t count_;
    std::uint32_t next_ = 0;
    std::size_t checked_ = 0;
    std::map<std::uint32_t, bool> seen_;
    std::map<std::uint16_t, std::uint32_t> last_;
};

SctpLink bad_link(std::uint64_t seed) {
    SeededRandom random(seed);
    SctpLink link;
    link.loss = random.u32() % 100;
    link.duplication = random.u32() % 30;
    link.reordering = random.u32() % 200;
    link.delay = milliseconds(random.u32() % 50);
    if (random.u32() % 2 == 0) link.bytes_per_second = 1e6 + random.u32() % 10'000'000;
    return link;
}

std::uint64_t seeds(std::uint64_t usual) {
    const char* const wanted = std::getenv("KOLLATOR_SCTP_SEEDS");
    return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

TEST(OwnSctpLink, EveryMessageArrivesOnceAndInOrderWhateverTheLinkDoes) {
    for (std::uint64_t seed = 1; seed <= seeds(8); ++seed) {
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        SctpPair pair(seed, bad_link(seed));
        ASSERT_TRUE(pair.connect());
        Exchange forth(pair.a, pair.b, seed, 80);
        Exchange back(pair.b, pair.a, seed + 1000, 80);
        ASSERT_TRUE(pair.run_until([&] { return forth.done() && back.done(); }, seconds(600)))
            << pair.a.messages.size() << " " << pair.b.messages.size() << pair.a.close_reason;
        ASSERT_TRUE(pair.run_until(
            [&] {
                return pair.a.association->buffered_bytes() == 0 &&
                       pair.b.association->buffered_bytes() == 0;
            },
            seconds(60)));
        EXPECT_EQ(pair.a.stack->stats().buffered_bytes, 0U);
    }
}

class BesideUsrsctp : public ::testing::TestWithParam<bool> {
 protected:
    /// Ours is the first where the parameter says so.
    static SctpPair make(std::uint64_t seed, const SctpLink& link) {
        return GetParam()
                   ? SctpPair(seed, link, SctpImplementation::kOwn, SctpImplementation::kUsrsctp)
                   : SctpPair(seed, link, SctpImplementation::kUsrsctp, SctpImplementation::kOwn);
    }
};

INSTANTIATE_TEST_SUITE_P(Ways, BesideUsrsctp, ::testing::Bool(), [](const auto& each) {
    return each.param ? "OursFirst" : "UsrsctpFirst";
});

TEST_P(BesideUsrsctp, EveryMessageArrivesBothWaysOverABadLink) {
    SctpLink link;
    link.loss = 20;
    link.duplication = 10;
    link.reordering = 50;
    link.delay = milliseconds(2);
    for (std::uint64_t seed = 1; seed <= seeds(2); ++seed) {
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        SctpPair pair = make(seed, link);
        ASSERT_TRUE(pair.connect());
        Exchange forth(pair.a, pair.b, seed, 30);
        Exchange back(pair.b, pair.a, seed + 1000, 30);
        ASSERT_TRUE(pair.run_until([&] { return forth.done() && back.done(); }, seconds(100)))
            << pair.a.messages.size() << " " << pair.b.messages.size() << pair.a.close_reason;
    }
}

TEST_P(BesideUsrsctp, StreamsAreResetAndUsedAgainOverABadLink) {
    SctpLink link;
    link.loss = 50;
    link.delay = milliseconds(1);
    SctpPair pair = make(5, link);
    ASSERT_TRUE(pair.connect());
    SctpSendOptions on_stream;
    for (std::size_t round = 1; round <= 5; ++round) {
        for (SctpEnd* end : {&pair.a, &pair.b}) {
            on_stream.stream = 4;
            ASSERT_TRUE(end->association->send(on_stream, {}, Bytes(5000, 1)).ok());
            end->association->reset_stream(4);
        }
        ASSERT_TRUE(pair.run_until(
            [&] {
                return pair.a.resets.size() >= round && pair.b.resets.size() >= round &&
                       pair.a.resets_done.size() >= round && pair.b.resets_done.size() >= round;
            },
            seconds(60)))
            << round << ": " << pair.a.resets.size() << pair.b.resets.size()
            << pair.a.resets_done.size() << pair.b.resets_done.size();
        ASSERT_TRUE(pair.run_until(
            [&] { return pair.a.messages.size() == round && pair.b.messages.size() == round; }));
    }
}

TEST_P(BesideUsrsctp, WhatIsUnreliableIsGivenUpAndTheRestArrives) {
    SctpPair pair = make(6, {});
    ASSERT_TRUE(pair.connect());
    pair.drop = [](ByteSpan packet) {
        return std::search_n(packet.begin(), packet.end(), 16, std::uint8_t{0xdd}) != packet.end();
    };
    SctpSendOptions once;
    once.max_retransmits = 0;
    SctpSendOptions brief;
    brief.max_lifetime_ms = 20;
    for (const SctpSendOptions& options : {once, brief}) {
        for (SctpEnd* end : {&pair.a, &pair.b}) {
            ASSERT_TRUE(end->association->send(options, {}, Bytes(30'000, 0xdd)).ok());
            end->association->poll(pair.now);
            ASSERT_TRUE(end->association->send({}, {}, Bytes(30'000, 1)).ok());
        }
    }
    ASSERT_TRUE(
        pair.run_until([&] { return pair.a.messages.size() == 2 && pair.b.messages.size() == 2; }));
    ASSERT_TRUE(pair.run_until([&] {
        return pair.a.association->buffered_bytes() == 0 &&
               pair.b.association->buffered_bytes() == 0;
    }));
}

}  // namespace
}  // namespace kollator::rtc
