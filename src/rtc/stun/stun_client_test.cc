#include "rtc/stun/stun_client.h"

#include <gtest/gtest.h>

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const SocketAddress kServer{*IpAddress::parse("198.51.100.1"), 3478};
const SocketAddress kMapped{*IpAddress::parse("203.0.113.5"), 40001};

class StunClientTest : public ::testing::Test {
 protected:
    /// The transaction of what it sends now.
    TransactionId asked() {
        const std::optional<Bytes> sent = client_.poll_output();
        EXPECT_TRUE(sent.has_value());
        return sent ? parse_stun(*sent)->transaction : TransactionId{};
    }
    void answer(const TransactionId& transaction, StunClass kind = StunClass::kSuccess) {
        StunBuilder builder(kind, kStunBinding, transaction);
        if (kind == StunClass::kSuccess) {
            builder.xor_mapped_address(kMapped);
        } else {
            builder.error(StunErrorCode::kBadRequest, "no");
        }
        const Bytes bytes = builder.finish();
        client_.handle_response(now_, *parse_stun(bytes));
    }
    void advance_to_timer() {
        now_ = *client_.next_timeout();
        client_.handle_timeout(now_);
    }

    SeededRandom random_{1};
    TimePoint now_{seconds(100)};
    StunClient client_{kServer, 0xABCD0000, random_};
};

TEST_F(StunClientTest, LearnsTheMappedAddressAndKeepsItAlive) {
    EXPECT_FALSE(client_.next_timeout().has_value());
    client_.start(now_);
    const TransactionId first = asked();
    EXPECT_EQ(load_u32(first.data()), 0xABCD0000u);
    EXPECT_TRUE(client_.gathering());
    answer(first);
    EXPECT_EQ(client_.mapped(), kMapped);
    EXPECT_FALSE(client_.gathering());
    EXPECT_EQ(client_.next_timeout(), now_ + StunClient::kRefresh);
    advance_to_timer();
    const TransactionId second = asked();
    EXPECT_NE(second, first);
    // While the question is open, the old answer holds.
    EXPECT_EQ(client_.mapped(), kMapped);
    answer(second);
    EXPECT_EQ(client_.mapped(), kMapped);
}

TEST_F(StunClientTest, AsksAgainAndGivesUpForAWhile) {
    client_.start(now_);
    const TimePoint began = now_;
    const TransactionId first = asked();
    for (int i = 1; i < 7; ++i) {
        advance_to_timer();
        EXPECT_EQ(asked(), first);
    }
    EXPECT_EQ(now_ - began, milliseconds(31'500));
    EXPECT_TRUE(client_.gathering());
    advance_to_timer();
    EXPECT_FALSE(client_.poll_output().has_value());
    EXPECT_FALSE(client_.gathering());
    EXPECT_EQ(client_.next_timeout(), now_ + StunClient::kRetry);
    answer(first);  // too late
    EXPECT_FALSE(client_.mapped().has_value());
    advance_to_timer();
    answer(asked());
    EXPECT_EQ(client_.mapped(), kMapped);
}

TEST_F(StunClientTest, ForgetsWhereTheServerFallsSilent) {
    client_.start(now_);
    answer(asked());
    for (int i = 0; i < 8; ++i) {
        advance_to_timer();
        (void)client_.poll_output();
    }
    EXPECT_FALSE(client_.mapped().has_value());
}

TEST_F(StunClientTest, TakesOnlyTheAnswerToItsQuestion) {
    client_.start(now_);
    const TransactionId first = asked();
    TransactionId other = first;
    other[11] ^= 1;
    answer(other);
    EXPECT_FALSE(client_.mapped().has_value());
    answer(first, StunClass::kError);
    EXPECT_FALSE(client_.mapped().has_value());
    EXPECT_FALSE(client_.gathering());
    answer(first);
    EXPECT_FALSE(client_.mapped().has_value());
}

}  // namespace
}  // namespace kollator::rtc
