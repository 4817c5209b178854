#include "app/ice_server_options.h"

#include <gtest/gtest.h>

namespace kollator::app {
namespace {

TEST(IceServerOptions, ReadsEveryForm) {
    config::Config config;
    config.stun_servers = {"stun:stun.example", "stun:[2001:db8::1]:19302",
                           "stuns:tls.example:5349", "stun:192.0.2.1:3479"};
    config.turn_servers = {{"turn:turn.example", "user", "pass"},
                           {"turn:turn.example:80?transport=tcp", "user", "pass"},
                           {"turns:turn.example?transport=tcp", "", ""},
                           {"turn:[2001:db8::1]?transport=udp", "", ""}};
    config.turn_secret = "secret";
    config.turn_ca_file = "/ca.pem";
    const rtc::IceServerOptions options = ice_server_options(config);

    ASSERT_EQ(options.stun.size(), 3u);
    EXPECT_EQ(options.stun[0].host, "stun.example");
    EXPECT_EQ(options.stun[0].port, 3478);
    EXPECT_EQ(options.stun[1].host, "2001:db8::1");
    EXPECT_EQ(options.stun[1].port, 19302);
    EXPECT_EQ(options.stun[2].host, "192.0.2.1");
    EXPECT_EQ(options.stun[2].port, 3479);

    ASSERT_EQ(options.turn.size(), 4u);
    EXPECT_EQ(options.turn[0].transport, rtc::TurnTransport::kUdp);
    EXPECT_EQ(options.turn[0].port, 3478);
    EXPECT_EQ(options.turn[0].username, "user");
    EXPECT_EQ(options.turn[0].password, "pass");
    EXPECT_EQ(options.turn[1].transport, rtc::TurnTransport::kTcp);
    EXPECT_EQ(options.turn[1].port, 80);
    EXPECT_EQ(options.turn[2].transport, rtc::TurnTransport::kTls);
    EXPECT_EQ(options.turn[2].port, 5349);
    EXPECT_EQ(options.turn[3].host, "2001:db8::1");
    EXPECT_EQ(options.turn[3].port, 3478);
    EXPECT_EQ(options.turn_secret, "secret");
    EXPECT_EQ(options.turn_ca_file, "/ca.pem");
    EXPECT_TRUE(ice_server_options(config::Config{}).empty());
}

}  // namespace
}  // namespace kollator::app
