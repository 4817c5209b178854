#include "rtc/turn/turn_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "crypto/hash.h"

namespace kollator::rtc {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

const SocketAddress kRelayed{*IpAddress::parse("203.0.113.9"), 50000};
const SocketAddress kMapped{*IpAddress::parse("203.0.113.5"), 40001};
const SocketAddress kPeer{*IpAddress::parse("198.51.100.2"), 6000};
const Bytes kDtls{22, 1, 2, 3, 4};

/// A server with one user, under the test's control.
class ScriptedServer {
 public:
    std::string nonce = "nonce-1";
    std::string password = "secret";
    std::optional<std::uint16_t> refuse_allocate;  ///< once
    std::optional<std::uint16_t> refuse_permission;
    std::optional<std::uint16_t> refuse_channel;
    bool signs = true;
    int allocations = 0;
    int releases = 0;
    int refreshes = 0;
    std::set<std::string> permissions;
    std::vector<std::pair<std::uint16_t, SocketAddress>> channels;
    std::vector<Bytes> sent;        ///< in Send indications, and
    std::vector<Bytes> channelled;  ///< in ChannelData

    /// Its answer to one message.
    std::optional<Bytes> handle(const Bytes& bytes) {
        if (bytes[0] >= 64) {
            channelled.push_back(Bytes(bytes.begin() + 4, bytes.begin() + 4 + load_u16(&bytes[2])));
            return std::nullopt;
        }
        const Result<StunMessage> message = parse_stun(bytes);
        EXPECT_TRUE(message.ok());
        if (message->message_class == StunClass::kIndication) {
            EXPECT_EQ(message->method, kTurnSend);
            sent.emplace_back(message->data->begin(), message->data->end());
            return std::nullopt;
        }
        const crypto::Md5Digest digest = crypto::md5(as_bytes("user:realm:" + password));
        const std::string key(as_text(digest));
        if (!message->integrity_offset) return challenge(*message, StunErrorCode::kUnauthenticated);
        EXPECT_EQ(message->username, "user");
        EXPECT_EQ(message->realm, "realm");
        if (!verify_integrity(bytes, *message, key)) {
            return challenge(*message, StunErrorCode::kUnauthenticated);
        }
        if (message->nonce != nonce) return challenge(*message, StunErrorCode::kStaleNonce);
        return handle_authentic(*message, bytes, key);
    }

 private:
    Bytes challenge(const StunMessage& message, StunErrorCode code) {
        return StunBuilder(StunClass::kError, message.method, message.transaction)
            .error(code, "try again")
            .attribute(StunAttribute::kRealm, as_bytes("realm"))
            .attribute(StunAttribute::kNonce, as_bytes(nonce))
            .finish();
    }
    Bytes refusal(const StunMessage& message, std::uint16_t code) {
        return StunBuilder(StunClass::kError, message.method, message.transaction)
            .error(static_cast<StunErrorCode>(code), "no")
            .finish();
    }
    std::optional<Bytes> handle_authentic(const StunMessage& message, const Bytes& bytes,
                                          const std::string& key) {
        StunBuilder answer(StunClass::kSuccess, message.method, message.transaction);
        if (message.method == kTurnAllocate) {
            if (const auto code = std::exchange(refuse_allocate, {}))
                return refusal(message, *code);
            ++allocations;
            answer.xor_address(StunAttribute::kXorRelayedAddress, kRelayed)
                .xor_mapped_address(kMapped)
                .u32(StunAttribute::kLifetime, 600);
        } else if (message.method == kTurnRefresh) {
            (message.lifetime_s == 0u ? releases : refreshes) += 1;
            answer.u32(StunAttribute::kLifetime, message.lifetime_s.value_or(600));
        } else if (message.method == kTurnCreatePermission) {
            if (refuse_permission) return refusal(message, *refuse_permission);
            permissions.insert(message.peer_address->ip.text());
        } else if (message.method == kTurnChannelBind) {
            if (refuse_channel) return refusal(message, *refuse_channel);
            // CHANNEL-NUMBER stands first.
            channels.emplace_back(load_u16(bytes.data() + 24), *message.peer_address);
        }
        return signs ? answer.integrity(key).finish() : answer.finish();
    }
};

class TurnClientTest : public ::testing::Test {
 protected:
    TurnClientTest() { make(false); }
    void make(bool reliable) {
        TurnOptions options;
        options.reliable = reliable;
        options.transaction_prefix = 0xABCD0000;
        options.credentials = [this] {
            ++asked_;
            return TurnCredentials{"user", "secret"};
        };
        client_ = std::make_unique<TurnClient>(options, random_);
    }
    /// Carries messages until both are silent.
    void run() {
        while (const auto out = client_->poll_output()) {
            if (!server_alive_) continue;
            if (const auto answer = server_.handle(*out)) {
                EXPECT_FALSE(client_->handle_message(now_, *answer).has_value());
            }
        }
    }
    void run_for(Duration duration) {
        const TimePoint end = now_ + duration;
        run();
        while (client_->next_timeout() && *client_->next_timeout() <= end) {
            now_ = std::max(now_, *client_->next_timeout());
            client_->handle_timeout(now_);
            run();
        }
        now_ = end;
    }
    void allocate() {
        client_->start(now_);
        run();
        ASSERT_EQ(client_->state(), TurnState::kAllocated) << client_->failure();
    }
    Bytes data_indication(const SocketAddress& from, const Bytes& data) {
        return StunBuilder(StunClass::kIndication, kTurnData, {1, 2, 3})
            .xor_address(StunAttribute::kXorPeerAddress, from)
            .attribute(StunAttribute::kData, data)
            .finish();
    }

    SeededRandom random_{1};
    TimePoint now_{seconds(1000)};
    ScriptedServer server_;
    bool server_alive_ = true;
    int asked_ = 0;
    std::unique_ptr<TurnClient> client_;
};

TEST_F(TurnClientTest, AllocatesWithLongTermCredentials) {
    allocate();
    EXPECT_EQ(client_->relayed(), kRelayed);
    EXPECT_EQ(client_->mapped(), kMapped);
    EXPECT_EQ(server_.allocations, 1);
    EXPECT_EQ(asked_, 1);
}

TEST_F(TurnClientTest, AsksForAPermissionAndBindsAChannelForData) {
    allocate();
    client_->send(now_, kPeer, kDtls);
    run();
    // The first has to go in an indication; the channel is there for those that follow.
    EXPECT_THAT(server_.permissions, ::testing::ElementsAre("198.51.100.2"));
    EXPECT_EQ(server_.sent, (std::vector<Bytes>{kDtls}));
    ASSERT_EQ(server_.channels.size(), 1u);
    EXPECT_EQ(server_.channels[0], (std::pair{std::uint16_t{0x4000}, kPeer}));
    client_->send(now_, kPeer, kDtls);
    run();
    EXPECT_EQ(server_.channelled, (std::vector<Bytes>{kDtls}));
    EXPECT_EQ(server_.sent.size(), 1u);
}

TEST_F(TurnClientTest, ChecksNeedNoChannel) {
    allocate();
    const Bytes check = StunBuilder(StunClass::kRequest, kStunBinding, {1}).finish();
    client_->send(now_, kPeer, check);
    client_->send(now_, kPeer, check);
    run();
    EXPECT_EQ(server_.sent.size(), 2u);
    EXPECT_TRUE(server_.channels.empty());
}

TEST_F(TurnClientTest, GivesWhatPeersSendToIt) {
    allocate();
    const Bytes indication = data_indication(kPeer, kDtls);
    EXPECT_FALSE(client_->handle_message(now_, indication).has_value());
    client_->permit(now_, kPeer.ip);
    auto got = client_->handle_message(now_, indication);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->from, kPeer);
    EXPECT_EQ(Bytes(got->bytes.begin(), got->bytes.end()), kDtls);

    Bytes channel_data{0x40, 0, 0, 5};
    channel_data.insert(channel_data.end(), kDtls.begin(), kDtls.end());
    EXPECT_FALSE(client_->handle_message(now_, channel_data).has_value());
    client_->send(now_, kPeer, kDtls);
    run();
    got = client_->handle_message(now_, channel_data);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->from, kPeer);
    EXPECT_EQ(got->bytes.size(), 5u);
    for (std::size_t size = 0; size < channel_data.size(); ++size) {
        EXPECT_FALSE(client_->handle_message(now_, ByteSpan(channel_data).first(size)).has_value());
    }
}

TEST_F(TurnClientTest, FollowsANewNonce) {
    allocate();
    server_.nonce = "nonce-2";
    client_->permit(now_, kPeer.ip);
    run();
    EXPECT_EQ(server_.permissions.size(), 1u);
    EXPECT_EQ(client_->state(), TurnState::kAllocated);
}

TEST_F(TurnClientTest, GivesUpWithWrongCredentialsAndComesBack) {
    server_.password = "other";
    client_->start(now_);
    run();
    EXPECT_EQ(client_->state(), TurnState::kFailed);
    EXPECT_THAT(client_->failure(), HasSubstr("401"));
    EXPECT_FALSE(client_->relayed().has_value());
    server_.password = "secret";
    run_for(TurnClient::kRetry);
    EXPECT_EQ(client_->state(), TurnState::kAllocated);
    EXPECT_EQ(asked_, 2);
}

TEST_F(TurnClientTest, RepeatsRequestsOverUdpThenGivesUp) {
    server_alive_ = false;
    client_->start(now_);
    int sent = 0;
    const TimePoint began = now_;
    while (client_->state() == TurnState::kAllocating) {
        while (client_->poll_output()) ++sent;
        now_ = *client_->next_timeout();
        client_->handle_timeout(now_);
    }
    EXPECT_EQ(sent, 7);
    EXPECT_EQ(now_ - began, std::chrono::milliseconds(63'500));
    EXPECT_THAT(client_->failure(), HasSubstr("no answer"));
}

TEST_F(TurnClientTest, SendsRequestsOnceOverAStream) {
    make(true);
    server_alive_ = false;
    client_->start(now_);
    const TimePoint began = now_;
    ASSERT_TRUE(client_->poll_output().has_value());
    now_ = *client_->next_timeout();
    client_->handle_timeout(now_);
    EXPECT_FALSE(client_->poll_output().has_value());
    EXPECT_EQ(client_->state(), TurnState::kFailed);
    EXPECT_EQ(now_ - began, std::chrono::milliseconds(39'500));
}

TEST_F(TurnClientTest, PadsChannelDataOverAStream) {
    make(true);
    allocate();
    client_->send(now_, kPeer, kDtls);
    run();
    client_->send(now_, kPeer, kDtls);
    const std::optional<Bytes> out = client_->poll_output();
    ASSERT_TRUE(out.has_value());
    EXPECT_EQ(*out, (Bytes{0x40, 0, 0, 5, 22, 1, 2, 3, 4, 0, 0, 0}));
}

TEST_F(TurnClientTest, KeepsWhatIsInUseAlive) {
    allocate();
    for (int minute = 0; minute < 30; ++minute) {
        client_->send(now_, kPeer, kDtls);
        server_.permissions.clear();
        run_for(minutes(1));
    }
    EXPECT_EQ(client_->state(), TurnState::kAllocated);
    EXPECT_GE(server_.refreshes, 3);
    EXPECT_GE(server_.channels.size(), 4u);  // bound anew, each time the same
    for (const auto& [number, peer] : server_.channels) EXPECT_EQ(number, 0x4000);
    EXPECT_EQ(server_.allocations, 1);
}

TEST_F(TurnClientTest, ForgetsPeersThatAreSilent) {
    allocate();
    client_->send(now_, kPeer, kDtls);
    run_for(minutes(6));
    // The permission is gone, and with it the right to be heard.
    EXPECT_FALSE(client_->handle_message(now_, data_indication(kPeer, kDtls)).has_value());
    run_for(minutes(30));
    client_->send(now_, kPeer, kDtls);
    run();
    ASSERT_GE(server_.channels.size(), 2u);
    EXPECT_EQ(server_.channels.back().first, 0x4001);
}

TEST_F(TurnClientTest, NoticesThatTheServerForgot) {
    allocate();
    client_->send(now_, kPeer, kDtls);
    run();
    server_alive_ = false;
    run_for(minutes(11));
    EXPECT_NE(client_->state(), TurnState::kAllocated);
    EXPECT_FALSE(client_->relayed().has_value());
    server_alive_ = true;
    run_for(minutes(3));
    EXPECT_EQ(client_->state(), TurnState::kAllocated);
    EXPECT_EQ(server_.allocations, 2);
}

TEST_F(TurnClientTest, GivesBackWhatAnEarlierProcessLeft) {
    server_.refuse_allocate = 437;
    client_->start(now_);
    run();
    EXPECT_EQ(server_.releases, 1);
    EXPECT_EQ(client_->state(), TurnState::kAllocated);
}

TEST_F(TurnClientTest, TellsWhyItWasRefused) {
    server_.refuse_allocate = 486;
    client_->start(now_);
    run();
    EXPECT_EQ(client_->state(), TurnState::kFailed);
    EXPECT_THAT(client_->failure(), HasSubstr("486 no"));
}

TEST_F(TurnClientTest, SendsWithoutAChannelWhereItGetsNone) {
    allocate();
    server_.refuse_channel = 508;
    for (int i = 0; i < 3; ++i) {
        client_->send(now_, kPeer, kDtls);
        run();
    }
    EXPECT_EQ(server_.sent.size(), 3u);
}

TEST_F(TurnClientTest, AsksAgainForAPermissionThatWasRefused) {
    allocate();
    server_.refuse_permission = 403;
    client_->permit(now_, kPeer.ip);
    run();
    EXPECT_FALSE(client_->handle_message(now_, data_indication(kPeer, kDtls)).has_value());
    server_.refuse_permission.reset();
    client_->permit(now_, kPeer.ip);
    run();
    EXPECT_EQ(server_.permissions.size(), 1u);
}

TEST_F(TurnClientTest, TakesOnlySignedAnswers) {
    server_.signs = false;
    client_->start(now_);
    run();
    EXPECT_EQ(client_->state(), TurnState::kAllocating);
    EXPECT_FALSE(client_->relayed().has_value());
}

TEST_F(TurnClientTest, HoldsPermissionsToTheirBound) {
    allocate();
    for (std::size_t i = 0; i < TurnClient::kMaxPermissions + 10; ++i) {
        const auto high = static_cast<std::uint8_t>(i >> 8);
        const auto low = static_cast<std::uint8_t>(i);
        client_->permit(now_, IpAddress::v4({10, 0, high, low}));
        now_ += std::chrono::milliseconds(1);
        run();
    }
    // The idlest went.
    const auto from = [](std::uint8_t low) {
        return SocketAddress{IpAddress::v4({10, 0, 0, low}), 1};
    };
    EXPECT_FALSE(client_->handle_message(now_, data_indication(from(9), kDtls)).has_value());
    EXPECT_TRUE(client_->handle_message(now_, data_indication(from(10), kDtls)).has_value());
}

TEST_F(TurnClientTest, KeepsWhoHasSentFromBeingPushedOut) {
    allocate();
    client_->permit(now_, kPeer.ip);
    run();
    const Bytes indication = data_indication(kPeer, kDtls);
    ASSERT_TRUE(client_->handle_message(now_, indication).has_value());
    // Addresses that were only named push each other out.
    for (std::size_t i = 0; i < 2 * TurnClient::kMaxPermissions; ++i) {
        now_ += std::chrono::milliseconds(1);
        client_->permit(now_, IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8),
                                             static_cast<std::uint8_t>(i)}));
        run();
    }
    EXPECT_TRUE(client_->handle_message(now_, indication).has_value());
}

TEST_F(TurnClientTest, TakesNoPermissionForGrantedThatItCouldNotAskFor) {
    allocate();
    for (std::size_t i = 0; i < TurnClient::kMaxRequests; ++i) {
        client_->permit(now_, IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8),
                                             static_cast<std::uint8_t>(i)}));
    }
    client_->permit(now_, kPeer.ip);
    run();
    client_->permit(now_, kPeer.ip);
    run();
    EXPECT_TRUE(server_.permissions.contains(kPeer.ip.text()));
}

TEST_F(TurnClientTest, IsSilentWhereItHasNothingToSay) {
    client_->send(now_, kPeer, kDtls);
    client_->permit(now_, kPeer.ip);
    client_->release(now_);
    EXPECT_FALSE(client_->poll_output().has_value());
    EXPECT_FALSE(client_->next_timeout().has_value());
    allocate();
    client_->send(now_, {*IpAddress::parse("2001:db8::1"), 1}, kDtls);
    client_->send(now_, kPeer, {});
    EXPECT_FALSE(client_->poll_output().has_value());
    client_->stop("the stream was lost");
    EXPECT_EQ(client_->state(), TurnState::kIdle);
    EXPECT_FALSE(client_->next_timeout().has_value());
}

TEST_F(TurnClientTest, GivesTheAllocationBack) {
    allocate();
    client_->release(now_);
    run();
    EXPECT_EQ(server_.releases, 1);
    EXPECT_EQ(client_->state(), TurnState::kIdle);
}

}  // namespace
}  // namespace kollator::rtc
