#include "dht/contact.h"

#include <gmock/gmock.h>

#include "dht/shard_keys.h"
#include "dht/wire.h"

namespace kollator::dht {
namespace {

Endpoint at(const char* address, std::uint16_t port = 6881) {
    return *Endpoint::from_text(address, port);
}

TEST(Contact, CompactFormsRoundTripAndMappedAddressesBecomeV4) {
    Bytes v4(Endpoint::kCompactV4);
    at("192.0.2.7", 258).to_compact(v4);
    EXPECT_EQ(to_hex(v4), "c00002070102");
    EXPECT_EQ(Endpoint::from_compact(v4), at("192.0.2.7", 258));

    Bytes v6(Endpoint::kCompactV6);
    at("2a00::1", 7).to_compact(v6);
    EXPECT_EQ(Endpoint::from_compact(v6)->text(), "[2a00::1]:7");

    EXPECT_EQ(at("::ffff:192.0.2.7", 258), at("192.0.2.7", 258));
    EXPECT_FALSE(Endpoint::from_compact(Bytes(7)));
    EXPECT_FALSE(Endpoint::from_text("example.org", 1));
}

TEST(Contact, AddressesThatNoHostOfTheInternetHasAreRefused) {
    const AddressPolicy policy;
    for (const char* bad : {"0.0.0.0",
                            "0.1.2.3",
                            "10.1.2.3",
                            "100.64.0.1",
                            "100.127.255.255",
                            "127.0.0.1",
                            "169.254.1.1",
                            "172.16.0.1",
                            "172.31.255.255",
                            "192.0.0.8",
                            "192.0.2.1",
                            "192.88.99.1",
                            "192.168.1.1",
                            "198.18.0.1",
                            "198.19.255.255",
                            "198.51.100.1",
                            "203.0.113.1",
                            "224.0.0.1",
                            "239.1.1.1",
                            "240.0.0.1",
                            "255.255.255.255",
                            "::",
                            "::1",
                            "fe80::1",
                            "fc00::1",
                            "fd12::1",
                            "ff02::1",
                            "2001::1",
                            "2001:db8::1",
                            "2002:7f00:1::",
                            "3fff::1",
                            "64:ff9b::7f00:1",
                            "::ffff:10.0.0.1",
                            "fec0::1"}) {
        EXPECT_FALSE(policy.allows(at(bad))) << bad;
    }
    for (const char* good :
         {"1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.1.1", "172.32.0.1", "198.17.0.1",
          "223.255.255.1", "2a00:1450::1", "2600::1", "2001:4860::8"}) {
        EXPECT_TRUE(policy.allows(at(good))) << good;
    }
    EXPECT_FALSE(policy.allows(at("1.1.1.1", 0)));
}

TEST(Contact, APrivateSwarmAllowsWhatCanBeAPeer) {
    const AddressPolicy policy{.allow_private = true};
    for (const char* good : {"127.0.0.1", "10.0.0.1", "::1", "fe80::1", "1.1.1.1"}) {
        EXPECT_TRUE(policy.allows(at(good))) << good;
    }
    for (const char* bad : {"0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"}) {
        EXPECT_FALSE(policy.allows(at(bad))) << bad;
    }
}

TEST(Wire, AReplyOfAHostileNodeIsCutToWhatIsUsable) {
    const Bytes id(20, 7);
    Bytes nodes;
    for (int i = 0; i < 1000; ++i) {
        nodes.insert(nodes.end(), 20, static_cast<std::uint8_t>(i));
        Bytes compact(6);
        at(i % 2 == 0 ? "127.0.0.1" : "1.2.3.4").to_compact(compact);
        nodes.insert(nodes.end(), compact.begin(), compact.end());
    }
    const Bytes loopback{127, 0, 0, 1, 1, 1};
    const Bytes cut_short{1, 2, 3};
    const Bytes token(kMaxTokenBytes + 1, 'x');
    RawReply raw;
    raw.id = id;
    raw.nodes = nodes;
    raw.token = token;
    raw.values = {loopback, cut_short};
    std::vector<Bytes> many;
    for (int i = 0; i < 5000; ++i) {
        many.push_back(
            {1, 2, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 1, 1});
    }
    for (const Bytes& value : many) raw.values.emplace_back(value);

    const auto reply = read_reply(raw, AddressPolicy());
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->nodes.size(), kMaxReplyNodes / 2);
    for (const Contact& contact : reply->nodes) EXPECT_EQ(contact.at, at("1.2.3.4"));
    EXPECT_EQ(reply->peers.size(), kMaxReplyPeers);
    EXPECT_EQ(reply->peers.front(), *Endpoint::from_compact(many.front()));
    EXPECT_EQ(reply->token, "");

    raw.id = ByteSpan(id).first(19);
    EXPECT_EQ(read_reply(raw, AddressPolicy()).error().code, ErrorCode::kInvalid);
}

TEST(ShardKeys, AreTheSha1OfTheNameAndOneByte) {
    const auto keys = all_shard_keys();
    ASSERT_EQ(keys.size(), 256U);
    EXPECT_EQ(shard_key(0x41), keys[0x41]);
    // printf kollatorA | sha1sum
    EXPECT_EQ(shard_key(0x41).hex(), "d212e5408bebd083143328421d7cdaaf6e511a94");
    std::array<std::uint8_t, 32> name{};
    name[0] = 0x41;
    name[1] = 0xFF;
    EXPECT_EQ(shard_key_of(name), keys[0x41]);
}

}  // namespace
}  // namespace kollator::dht
