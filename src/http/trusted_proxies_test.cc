#include "http/trusted_proxies.h"

#include <gtest/gtest.h>

namespace kollator::http {
namespace {

class TrustedProxiesTest : public ::testing::Test {
 protected:
    std::string client_of(std::string_view remote, std::string_view forwarded) const {
        return proxies_.client_of(remote, forwarded);
    }

    const TrustedProxies proxies_ =
        *TrustedProxies::parse({"192.0.2.7", "10.0.0.0/8", "2001:db8:1::/48"});
};

TEST_F(TrustedProxiesTest, AreBelieved) {
    EXPECT_EQ(client_of("192.0.2.7", "198.51.100.1"), "198.51.100.1");
    EXPECT_EQ(client_of("10.200.0.1", "198.51.100.1"), "198.51.100.1");
    EXPECT_EQ(client_of("2001:db8:1::5", "2001:db8:2::9"), "2001:db8:2::9");
    EXPECT_EQ(client_of("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
}

TEST_F(TrustedProxiesTest, OthersAreNot) {
    EXPECT_EQ(client_of("192.0.2.8", "198.51.100.1"), "192.0.2.8");
    EXPECT_EQ(client_of("2001:db8:2::5", "198.51.100.1"), "2001:db8:2::5");
    EXPECT_EQ(TrustedProxies().client_of("192.0.2.7", "198.51.100.1"), "192.0.2.7");
}

TEST_F(TrustedProxiesTest, WhatTheClientSaysItselfIsNot) {
    EXPECT_EQ(client_of("192.0.2.7", "6.6.6.6, 198.51.100.1"), "198.51.100.1");
    EXPECT_EQ(client_of("192.0.2.7", "6.6.6.6,198.51.100.1 , 10.1.1.1"), "198.51.100.1");
}

TEST_F(TrustedProxiesTest, TheNearestAddressThatIsOneCounts) {
    EXPECT_EQ(client_of("192.0.2.7", ""), "192.0.2.7");
    EXPECT_EQ(client_of("192.0.2.7", "unknown"), "192.0.2.7");
    EXPECT_EQ(client_of("192.0.2.7", "unknown, 10.0.0.9"), "10.0.0.9");
    EXPECT_EQ(client_of("192.0.2.7", "10.0.0.8,10.0.0.9"), "10.0.0.8");
    EXPECT_EQ(client_of("192.0.2.7", "[, ["), "192.0.2.7");
}

TEST_F(TrustedProxiesTest, PortsAreLeftOut) {
    EXPECT_EQ(client_of("192.0.2.7", "198.51.100.1:5000"), "198.51.100.1");
    EXPECT_EQ(client_of("192.0.2.7", "[2001:db8::1]:5000"), "2001:db8::1");
    EXPECT_EQ(client_of("192.0.2.7", "2001:db8::1"), "2001:db8::1");
}

TEST(TrustedProxies, MustBeAddressesOrNetworks) {
    for (const char* entry :
         {"example.net", "10.0.0.0/33", "10.0.0.0/", "fd00::/129", "1.2.3", ""}) {
        EXPECT_FALSE(TrustedProxies::parse({entry}).ok()) << entry;
    }
}

}  // namespace
}  // namespace kollator::http
