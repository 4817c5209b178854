#include "rtc/direct_address.h"

#include <gtest/gtest.h>

#include "rtc/direct_gate.h"

namespace kollator::rtc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kText =
    "/ip4/192.0.2.1/udp/8081/webrtc-direct/certhash/"
    "uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw";
const std::string kPassword = "0123456789abcdefghijkl+/";

DirectAddress example() {
    DirectAddress address{{*IpAddress::parse("192.0.2.1"), 8081}, {}};
    for (std::size_t i = 0; i < 32; ++i) address.certificate[i] = static_cast<std::uint8_t>(i);
    return address;
}

TEST(DirectAddress, IsWrittenAndRead) {
    EXPECT_EQ(format_direct_address(example()), kText);
    const Result<DirectAddress> read = parse_direct_address(kText);
    ASSERT_TRUE(read.ok()) << read.error().detail;
    EXPECT_EQ(*read, example());

    DirectAddress v6 = example();
    v6.address.ip = *IpAddress::parse("2001:db8::1");
    const Result<DirectAddress> read_v6 = parse_direct_address(format_direct_address(v6));
    ASSERT_TRUE(read_v6.ok()) << read_v6.error().detail;
    EXPECT_EQ(*read_v6, v6);
}

TEST(DirectAddress, RefusesEveryOther) {
    const auto with = [](std::string_view from, std::string_view to) {
        std::string text = kText;
        return text.replace(text.find(from), from.size(), to);
    };
    for (const std::string& text :
         {std::string(), std::string("/"), with("ip4", "ip6"), with("ip4", "dns4"),
          with("192.0.2.1", "example"), with("192.0.2.1", "0.0.0.0"),
          with("192.0.2.1", "224.0.0.1"), with("udp", "tcp"), with("8081", "0"),
          with("8081", "70000"), with("8081", "8081x"), with("webrtc-direct", "webrtc"),
          with("certhash", "hash"), with("uEi", "bEi"), with("uEiA", "uESA"), with("uEi", "uFi"),
          kText + std::string("/p2p/x"), kText + std::string("A"), std::string(300, '/')}) {
        const Result<DirectAddress> read = parse_direct_address(text);
        ASSERT_FALSE(read.ok()) << text;
        EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    }
    const std::string whole = kText;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(parse_direct_address(whole.substr(0, size)).ok()) << size;
    }
}

TEST(DirectCredentials, TellTheClientsPassword) {
    const IceCredentials ours = direct_credentials(kPassword);
    EXPECT_EQ(ours.ufrag, ours.password);
    const auto client = direct_client(ours.ufrag + ":Xp4q");
    ASSERT_TRUE(client.has_value());
    EXPECT_EQ(*client, (IceCredentials{"Xp4q", kPassword}));
}

TEST(DirectCredentials, AreTakenInTheirFormOnly) {
    const std::string ours = direct_credentials(kPassword).ufrag;
    for (const std::string& username :
         {std::string(), ours, ours + ":", ours + ":abc", ours + ":a b c d", ours + ":a:bcd",
          std::string("worker:Xp4q"), ours + ":" + std::string(257, 'a'),
          direct_credentials("short").ufrag + ":Xp4q",
          direct_credentials("0123456789abcdefghij\n=").ufrag + ":Xp4q",
          direct_credentials(std::string(257, 'a')).ufrag + ":Xp4q"}) {
        EXPECT_FALSE(direct_client(username).has_value()) << username;
    }
}

TEST(DirectGate, HoldsEachSourceAndAllToTheirRate) {
    DirectGate gate({.per_second = 3, .per_source_per_second = 2});
    const TimePoint start{seconds(1)};
    const IpAddress a = *IpAddress::parse("192.0.2.1");
    EXPECT_TRUE(gate.admit(start, a));
    EXPECT_TRUE(gate.admit(start, a));
    EXPECT_FALSE(gate.admit(start, a));
    EXPECT_TRUE(gate.admit(start, *IpAddress::parse("192.0.2.2")));
    EXPECT_FALSE(gate.admit(start, *IpAddress::parse("192.0.2.3")));
    EXPECT_FALSE(gate.admit(start + milliseconds(999), *IpAddress::parse("192.0.2.3")));
    EXPECT_TRUE(gate.admit(start + seconds(1), a));
}

TEST(DirectGate, TakesAnIpv6NetworkAsOneSource) {
    DirectGate gate({.per_second = 9, .per_source_per_second = 1});
    const TimePoint start{seconds(1)};
    EXPECT_TRUE(gate.admit(start, *IpAddress::parse("2001:db8:1:2::1")));
    EXPECT_FALSE(gate.admit(start, *IpAddress::parse("2001:db8:1:2:3::1")));
    EXPECT_TRUE(gate.admit(start, *IpAddress::parse("2001:db8:1:3::1")));
}

TEST(DirectGate, RemembersTheLatestOfThoseThatEnded) {
    DirectGate gate({});
    gate.retire("first");
    gate.retire("first");
    EXPECT_TRUE(gate.is_retired("first"));
    EXPECT_FALSE(gate.is_retired("second"));
    for (std::size_t i = 0; i < DirectGate::kMaxRetired; ++i) gate.retire(std::to_string(i));
    EXPECT_FALSE(gate.is_retired("first"));
    EXPECT_TRUE(gate.is_retired("0"));
}

}  // namespace
}  // namespace kollator::rtc
