#include "crypto/hash.h"

#include <gtest/gtest.h>

#include "crypto/system_random.h"

namespace kollator::crypto {
namespace {

TEST(Sha256, MatchesFips180) {
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 pieces;
    pieces.update(as_bytes("a"));
    pieces.update({});
    pieces.update(as_bytes("bc"));
    EXPECT_EQ(pieces.finish(), sha256(as_bytes("abc")));
}

TEST(Hmac, MatchesTheRfcs) {
    // RFC 4231, test case 2, and RFC 2202, test case 2.
    EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(to_hex(hmac_sha1(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Hkdf, MatchesRfc5869) {
    // RFC 5869, A.1.
    const Bytes key(22, 0x0b);
    Bytes out(42);
    hkdf_sha256(key, *from_hex("000102030405060708090a0b0c"), *from_hex("f0f1f2f3f4f5f6f7f8f9"),
                out);
    EXPECT_EQ(
        to_hex(out),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST(ConstantTimeEqual, ComparesContentAndLength) {
    EXPECT_TRUE(constant_time_equal(as_bytes("same"), as_bytes("same")));
    EXPECT_FALSE(constant_time_equal(as_bytes("same"), as_bytes("sane")));
    EXPECT_FALSE(constant_time_equal(as_bytes("same"), as_bytes("sam")));
}

TEST(SystemRandom, DoesNotRepeatItself) {
    EXPECT_NE(system_random().u64(), system_random().u64());
}

}  // namespace
}  // namespace kollator::crypto
