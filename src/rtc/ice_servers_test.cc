#include "rtc/ice_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/base64.h"
#include "crypto/hash.h"
#include "crypto/system_random.h"
#include "loop/system_clock.h"

namespace kollator::rtc {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const SocketAddress kMapped{*IpAddress::parse("203.0.113.5"), 40001};
const SocketAddress kRelayed{*IpAddress::parse("203.0.113.9"), 50000};
const SocketAddress kPeer{*IpAddress::parse("198.51.100.2"), 6000};
const SocketAddress kServer{*IpAddress::parse("127.0.0.1"), 3478};

/// The endpoint's side: keeps what is for servers, and what came of it.
class RecordingHost final : public IceServersHost {
 public:
    void send_to_server(const SocketAddress& server, ByteSpan datagram) override {
        EXPECT_EQ(server, kServer);
        sent.emplace_back(datagram.begin(), datagram.end());
    }
    void on_relayed(const IcePath& path, ByteSpan datagram) override {
        EXPECT_EQ(path.remote, kPeer);
        EXPECT_EQ(path.relay, 1u);
        relayed.emplace_back(as_text(datagram));
    }
    void on_relayed_end() override {}
    void on_server_candidate(const Candidate& candidate) override {
        candidates.push_back(format_candidate(candidate));
    }

    std::vector<Bytes> sent;
    std::vector<std::string> relayed;
    std::vector<std::string> candidates;
};

class IceServersTest : public ::testing::Test {
 protected:
    void open(IceServerOptions options) {
        servers_ = std::make_unique<IceServers>(loop_, system_clock(), crypto::system_random(),
                                                std::move(options), local_, 7, host_);
        servers_->start();
    }
    bool wait_for(const std::function<bool()>& done) { return loop_.run_until(done, seconds(60)); }
    /// Waits for the next message to the server.
    StunMessage next() {
        EXPECT_TRUE(wait_for([this] { return !host_.sent.empty(); }));
        last_ = std::move(host_.sent.front());
        host_.sent.erase(host_.sent.begin());
        return *parse_stun(last_);
    }
    bool receive(const Bytes& bytes) {
        return servers_->handle_datagram(kServer, local_.ip, bytes);
    }
    static TurnServerOptions turn() {
        TurnServerOptions server;
        server.host = "127.0.0.1";
        server.username = "user";
        server.password = "secret";
        return server;
    }
    /// Plays the server until there is a relayed address; gives the key.
    std::string allocate() {
        StunMessage asked = next();
        EXPECT_EQ(asked.method, kTurnAllocate);
        EXPECT_TRUE(receive(StunBuilder(StunClass::kError, kTurnAllocate, asked.transaction)
                                .error(StunErrorCode::kUnauthenticated, "who")
                                .attribute(StunAttribute::kRealm, as_bytes("realm"))
                                .attribute(StunAttribute::kNonce, as_bytes("nonce"))
                                .finish()));
        asked = next();
        username_ = asked.username.value_or("");
        const crypto::Md5Digest digest =
            crypto::md5(as_bytes(std::string(username_) + ":realm:" + password_));
        const std::string key(as_text(digest));
        EXPECT_TRUE(verify_integrity(last_, asked, key));
        EXPECT_TRUE(receive(StunBuilder(StunClass::kSuccess, kTurnAllocate, asked.transaction)
                                .xor_address(StunAttribute::kXorRelayedAddress, kRelayed)
                                .xor_mapped_address(kMapped)
                                .u32(StunAttribute::kLifetime, 600)
                                .integrity(key)
                                .finish()));
        return key;
    }

    EventLoop loop_;
    SocketAddress local_{*IpAddress::parse("127.0.0.1"), 8081};
    RecordingHost host_;
    Bytes last_;
    std::string username_;
    std::string password_ = "secret";
    std::unique_ptr<IceServers> servers_;
};

TEST_F(IceServersTest, TellsTheReflexiveAddressOnce) {
    open({.stun = {{"localhost", 3478}}, .turn = {}, .turn_secret = {}, .turn_ca_file = {}});
    EXPECT_TRUE(servers_->gathering());
    const StunMessage asked = next();
    const Bytes answer = StunBuilder(StunClass::kSuccess, kStunBinding, asked.transaction)
                             .xor_mapped_address(kMapped)
                             .finish();
    EXPECT_FALSE(servers_->handle_datagram(kPeer, local_.ip, answer));
    EXPECT_TRUE(receive(answer));
    EXPECT_TRUE(receive(answer));
    ASSERT_THAT(host_.candidates, SizeIs(1));
    EXPECT_THAT(host_.candidates[0],
                HasSubstr("203.0.113.5 40001 typ srflx raddr 127.0.0.1 rport 8081"));
    EXPECT_FALSE(servers_->gathering());
    EXPECT_THAT(servers_->candidates(), SizeIs(1));
}

TEST_F(IceServersTest, NeedsNoReflexiveAddressWithoutANat) {
    open({.stun = {{"127.0.0.1", 3478}}, .turn = {}, .turn_secret = {}, .turn_ca_file = {}});
    const StunMessage asked = next();
    EXPECT_TRUE(receive(StunBuilder(StunClass::kSuccess, kStunBinding, asked.transaction)
                            .xor_mapped_address(local_)
                            .finish()));
    EXPECT_THAT(host_.candidates, IsEmpty());
}

TEST_F(IceServersTest, HoldsARelayForAllPeers) {
    open({.stun = {}, .turn = {turn()}, .turn_secret = {}, .turn_ca_file = {}});
    allocate();
    EXPECT_EQ(username_, "user");
    ASSERT_THAT(host_.candidates, SizeIs(1));
    EXPECT_THAT(host_.candidates[0],
                HasSubstr("203.0.113.9 50000 typ relay raddr 203.0.113.5 rport 40001"));
    servers_->permit(kPeer.ip);
    EXPECT_EQ(next().method, kTurnCreatePermission);
    servers_->send({IpAddress(), kPeer, 1}, as_bytes("\x16hello"));
    EXPECT_EQ(next().method, kTurnChannelBind);
    EXPECT_EQ(next().method, kTurnSend);
    EXPECT_TRUE(receive(StunBuilder(StunClass::kIndication, kTurnData, {1})
                            .xor_address(StunAttribute::kXorPeerAddress, kPeer)
                            .attribute(StunAttribute::kData, as_bytes("world"))
                            .finish()));
    EXPECT_THAT(host_.relayed, ::testing::ElementsAre("world"));
    servers_->send({IpAddress(), kPeer, 2}, as_bytes("no such relay"));
    EXPECT_THAT(host_.sent, IsEmpty());
    servers_.reset();
    EXPECT_EQ(next().lifetime_s, 0u);  // given back
}

TEST_F(IceServersTest, MakesCredentialsFromTheSecret) {
    IceServerOptions options{
        .stun = {}, .turn = {turn()}, .turn_secret = "shared", .turn_ca_file = {}};
    options.turn[0].username.clear();
    const auto now =
        std::chrono::duration_cast<seconds>(system_clock().wall_now().time_since_epoch());
    open(options);
    const StunMessage asked = next();
    EXPECT_TRUE(receive(StunBuilder(StunClass::kError, kTurnAllocate, asked.transaction)
                            .error(StunErrorCode::kUnauthenticated, "who")
                            .attribute(StunAttribute::kRealm, as_bytes("realm"))
                            .attribute(StunAttribute::kNonce, as_bytes("nonce"))
                            .finish()));
    const StunMessage again = next();
    const std::string username(again.username.value_or(""));
    ASSERT_THAT(username, ::testing::EndsWith(":kollator"));
    EXPECT_GE(std::stoll(username), now.count() + 24 * 3600);
    const crypto::Sha1Digest hmac = crypto::hmac_sha1(as_bytes("shared"), as_bytes(username));
    const std::string password = crypto::base64(hmac);
    const crypto::Md5Digest key = crypto::md5(as_bytes(username + ":realm:" + password));
    EXPECT_TRUE(verify_integrity(last_, again, as_text(key)));
}

TEST_F(IceServersTest, SkipsServersOfAnotherFamily) {
    open({.stun = {{"::1", 3478}}, .turn = {}, .turn_secret = {}, .turn_ca_file = {}});
    EXPECT_TRUE(wait_for([this] { return !servers_->gathering(); }));
    EXPECT_THAT(host_.sent, IsEmpty());
}

TEST_F(IceServersTest, SurvivesAStreamThatCannotBeOpened) {
    IceServerOptions options{.stun = {}, .turn = {turn()}, .turn_secret = {}, .turn_ca_file = {}};
    options.turn[0].transport = TurnTransport::kTcp;
    options.turn[0].port = 1;
    open(options);
    EXPECT_TRUE(servers_->gathering());
    EXPECT_TRUE(wait_for([this] { return !servers_->gathering(); }));
    EXPECT_THAT(host_.candidates, IsEmpty());
}

}  // namespace
}  // namespace kollator::rtc
