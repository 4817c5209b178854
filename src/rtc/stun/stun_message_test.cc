#include "rtc/stun/stun_message.h"

#include <gtest/gtest.h>

#include "rtc/stun/crc32.h"

namespace kollator::rtc {
namespace {

// RFC 5769, 2.1 to 2.3; the password of all three is kPassword.
constexpr std::string_view kPassword = "VOkJxbRl1RmTxUk/WvJxBt";
const Bytes kRequest = *from_hex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf");
const Bytes kResponseV4 = *from_hex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96");
const Bytes kResponseV6 = *from_hex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c");

constexpr TransactionId kTransaction = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                        0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

SocketAddress address(std::string_view ip, std::uint16_t port) {
    return {*IpAddress::parse(ip), port};
}

TEST(Crc32, GivesTheCheckValue) {
    EXPECT_EQ(crc32(as_bytes("123456789")), 0xCBF43926u);
}

TEST(StunMessage, ParsesTheSampleRequest) {
    const Result<StunMessage> message = parse_stun(kRequest);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->message_class, StunClass::kRequest);
    EXPECT_EQ(message->method, kStunBinding);
    EXPECT_EQ(message->transaction, kTransaction);
    EXPECT_EQ(message->username, "evtj:h6vY");
    EXPECT_EQ(message->priority, 0x6e0001ffu);
    EXPECT_EQ(message->ice_controlled, 0x932ff9b151263b36u);
    EXPECT_FALSE(message->ice_controlling);
    EXPECT_FALSE(message->use_candidate);
    EXPECT_TRUE(message->has_fingerprint);
    EXPECT_TRUE(verify_integrity(kRequest, *message, kPassword));
    EXPECT_FALSE(verify_integrity(kRequest, *message, "VOkJxbRl1RmTxUk/WvJxBu"));
}

TEST(StunMessage, ParsesTheSampleResponses) {
    const Result<StunMessage> v4 = parse_stun(kResponseV4);
    ASSERT_TRUE(v4.ok());
    EXPECT_EQ(v4->message_class, StunClass::kSuccess);
    EXPECT_EQ(v4->mapped_address, address("192.0.2.1", 32853));
    EXPECT_TRUE(verify_integrity(kResponseV4, *v4, kPassword));

    const Result<StunMessage> v6 = parse_stun(kResponseV6);
    ASSERT_TRUE(v6.ok());
    EXPECT_EQ(v6->mapped_address, address("2001:db8:1234:5678:11:2233:4455:6677", 32853));
    EXPECT_TRUE(verify_integrity(kResponseV6, *v6, kPassword));
}

// The RFC pads with spaces, we with zeros: the bytes differ, what they say does not.
TEST(StunMessage, BuildsWhatItParses) {
    const Bytes built = StunBuilder(StunClass::kRequest, kStunBinding, kTransaction)
                            .software("STUN test client")
                            .priority(0x6e0001ff)
                            .ice_controlled(0x932ff9b151263b36)
                            .username("evtj:h6vY")
                            .integrity(kPassword)
                            .fingerprint()
                            .finish();
    ASSERT_EQ(built.size(), kRequest.size());
    EXPECT_TRUE(std::equal(built.begin(), built.begin() + 69, kRequest.begin()));
    const Result<StunMessage> message = parse_stun(built);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->username, "evtj:h6vY");
    EXPECT_TRUE(verify_integrity(built, *message, kPassword));
}

TEST(StunMessage, BuildsAddressesOfBothFamilies) {
    for (const SocketAddress& sent : {address("192.0.2.1", 32853), address("2001:db8::7", 1)}) {
        const Bytes built = StunBuilder(StunClass::kSuccess, kStunBinding, kTransaction)
                                .xor_mapped_address(sent)
                                .finish();
        const Result<StunMessage> message = parse_stun(built);
        ASSERT_TRUE(message.ok());
        EXPECT_EQ(message->mapped_address, sent);
        EXPECT_FALSE(message->integrity_offset);
        EXPECT_FALSE(verify_integrity(built, *message, ""));
    }
}

TEST(StunMessage, CarriesRolesNominationAndErrors) {
    const Bytes request = StunBuilder(StunClass::kRequest, kStunBinding, kTransaction)
                              .ice_controlling(7)
                              .use_candidate()
                              .finish();
    const Result<StunMessage> parsed = parse_stun(request);
    ASSERT_TRUE(parsed.ok());
    EXPECT_TRUE(parsed->use_candidate);
    EXPECT_EQ(parsed->ice_controlling, 7u);

    const Bytes error = StunBuilder(StunClass::kError, kStunBinding, kTransaction)
                            .error(StunErrorCode::kRoleConflict, "Role Conflict")
                            .unknown_attributes({0x7777})
                            .finish();
    const Result<StunMessage> refused = parse_stun(error);
    ASSERT_TRUE(refused.ok());
    EXPECT_EQ(refused->message_class, StunClass::kError);
    ASSERT_TRUE(refused->error);
    EXPECT_EQ(refused->error->code, 487);
    EXPECT_EQ(refused->error->reason, "Role Conflict");
}

TEST(StunMessage, NamesUnknownRequiredAttributesOnly) {
    const Bytes built = StunBuilder(StunClass::kRequest, kStunBinding, kTransaction)
                            .attribute(static_cast<StunAttribute>(0x7001), as_bytes("abc"))
                            .attribute(static_cast<StunAttribute>(0xC057), as_bytes("x"))
                            .finish();
    const Result<StunMessage> message = parse_stun(built);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->unknown_required, std::vector<std::uint16_t>{0x7001});
}

TEST(StunMessage, IgnoresWhatFollowsTheIntegrity) {
    const Bytes built = StunBuilder(StunClass::kRequest, kStunBinding, kTransaction)
                            .username("a:b")
                            .integrity("key")
                            .use_candidate()
                            .fingerprint()
                            .finish();
    const Result<StunMessage> message = parse_stun(built);
    ASSERT_TRUE(message.ok());
    EXPECT_FALSE(message->use_candidate);
    EXPECT_TRUE(verify_integrity(built, *message, "key"));
}

TEST(StunMessage, RefusesEveryTruncation) {
    for (const Bytes& whole : {kRequest, kResponseV4, kResponseV6}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_FALSE(parse_stun(ByteSpan(whole).first(size)).ok()) << size;
        }
    }
}

// With the length field set to fit, a cut attribute is still a cut attribute or loses its
// fingerprint; it must never read past the end (the sanitizers watch).
TEST(StunMessage, SurvivesTruncationWithAMatchingLength) {
    for (std::size_t size = kStunHeaderBytes; size < kRequest.size(); ++size) {
        Bytes cut(kRequest.begin(), kRequest.begin() + static_cast<std::ptrdiff_t>(size));
        store_u16(cut.data() + 2, static_cast<std::uint16_t>(size - kStunHeaderBytes));
        const Result<StunMessage> message = parse_stun(cut);
        if (message.ok()) {
            EXPECT_FALSE(message->has_fingerprint);
        }
    }
}

TEST(StunMessage, FindsEveryFlippedBitByItsFingerprint) {
    for (std::size_t i = 0; i < kRequest.size() * 8; ++i) {
        Bytes broken = kRequest;
        broken[i / 8] ^= static_cast<std::uint8_t>(1 << (i % 8));
        const Result<StunMessage> message = parse_stun(broken);
        EXPECT_FALSE(message.ok() && message->has_fingerprint) << i;
    }
}

TEST(StunMessage, RefusesMalformedAttributes) {
    const auto refused = [](StunAttribute type, std::string_view value) {
        return !parse_stun(StunBuilder(StunClass::kRequest, kStunBinding, kTransaction)
                               .attribute(type, as_bytes(value))
                               .finish())
                    .ok();
    };
    EXPECT_TRUE(refused(StunAttribute::kPriority, "abc"));
    EXPECT_TRUE(refused(StunAttribute::kIceControlled, "abcd"));
    EXPECT_TRUE(refused(StunAttribute::kUseCandidate, "x"));
    EXPECT_TRUE(refused(StunAttribute::kErrorCode, "abc"));
    EXPECT_TRUE(refused(StunAttribute::kErrorCode, std::string_view("\0\0\x07\0", 4)));
    EXPECT_TRUE(refused(StunAttribute::kXorMappedAddress, "abcdefg"));
    EXPECT_TRUE(refused(StunAttribute::kXorMappedAddress, std::string_view("\0\x03pp1234", 8)));
    EXPECT_TRUE(refused(StunAttribute::kMessageIntegrity, "short"));
    EXPECT_TRUE(refused(StunAttribute::kUsername, std::string(509, 'u')));
}

TEST(SocketAddress, HoldsMappedAddressesAsV4) {
    EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1"), IpAddress::parse("192.0.2.1"));
    sockaddr_storage raw{};
    const SocketAddress sent = address("192.0.2.1", 77);
    sent.to_sockaddr(raw, true);
    EXPECT_EQ(raw.ss_family, AF_INET6);
    EXPECT_EQ(SocketAddress::from_sockaddr(raw), sent);
    sent.to_sockaddr(raw, false);
    EXPECT_EQ(raw.ss_family, AF_INET);
    EXPECT_EQ(SocketAddress::from_sockaddr(raw), sent);
    EXPECT_EQ(address("2001:db8::1", 5).text(), "[2001:db8::1]:5");
    EXPECT_EQ(sent.text(), "192.0.2.1:77");
}

TEST(SocketAddress, TellsKindsOfAddresses) {
    EXPECT_TRUE(IpAddress::parse("127.8.0.1")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("fe80::1")->is_link_local());
    EXPECT_TRUE(IpAddress::parse("169.254.1.1")->is_link_local());
    EXPECT_TRUE(IpAddress::parse("::")->is_unspecified());
    EXPECT_TRUE(IpAddress::parse("224.0.0.1")->is_multicast());
    EXPECT_FALSE(IpAddress::parse("fe80::1%eth0"));
    EXPECT_FALSE(IpAddress::parse("example.org"));
    EXPECT_FALSE(IpAddress::parse(""));
}

}  // namespace
}  // namespace kollator::rtc
