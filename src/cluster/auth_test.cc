// AUTH as pure functions: the golden vectors, and each way in which another's AUTH is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/worker_id.h"
#include "cluster/authenticator.h"
#include "cluster/seal.h"

namespace kollator::cluster {
namespace {

using nlohmann::json;
using std::chrono::seconds;

template <std::size_t kBytes>
std::array<std::uint8_t, kBytes> bytes_of(const json& vector, const char* name) {
    std::array<std::uint8_t, kBytes> array{};
    const auto bytes = from_hex(vector.at(name).get<std::string>());
    EXPECT_TRUE(bytes && bytes->size() == kBytes) << name;
    std::copy(bytes->begin(), bytes->end(), array.begin());
    return array;
}

json vectors_of(const std::string& kind) {
    std::ifstream file(std::string(KOLLATOR_SOURCE_DIR) + "/tests/vectors/auth.json");
    json chosen = json::array();
    for (const json& vector : json::parse(file)) {
        if (vector.at("kind") == kind) chosen.push_back(vector);
    }
    return chosen;
}

TEST(AuthVectors, ClaimsAreSignedAsTheContractSays) {
    const json vectors = vectors_of("claim");
    ASSERT_GE(vectors.size(), 3U);
    for (const json& vector : vectors) {
        SCOPED_TRACE(vector.at("name"));
        AuthClaim claim;
        claim.role = vector.at("role") == "offerer" ? LinkRole::kOfferer : LinkRole::kAnswerer;
        claim.worker_id = vector.at("workerId");
        claim.timestamp_s = vector.at("timestamp");
        claim.nonce = bytes_of<16>(vector, "nonce");
        if (vector.contains("peerNonce")) claim.peer_nonce = bytes_of<16>(vector, "peerNonce");
        claim.fingerprints = {bytes_of<32>(vector, "offererFingerprint"),
                              bytes_of<32>(vector, "answererFingerprint")};
        EXPECT_EQ(proof_text(claim), vector.at("proofText"));
        const protocol::Auth auth = make_auth(bytes_of<32>(vector, "key"), claim);
        EXPECT_EQ(to_hex(auth.token), vector.at("token"));
        EXPECT_EQ(to_hex(auth.proof), vector.at("proof"));
        EXPECT_EQ(auth.nonce, claim.nonce);
    }
}

TEST(AuthVectors, LinkKeysAreDerivedAsTheContractSays) {
    const json vectors = vectors_of("link");
    ASSERT_FALSE(vectors.empty());
    for (const json& vector : vectors) {
        const LinkKeys keys =
            derive_link_keys(bytes_of<32>(vector, "key"), bytes_of<16>(vector, "offererNonce"),
                             bytes_of<16>(vector, "answererNonce"));
        EXPECT_EQ(to_hex(keys.from_offerer), vector.at("fromOfferer"));
        EXPECT_EQ(to_hex(keys.from_answerer), vector.at("fromAnswerer"));
    }
}

TEST(AuthVectors, SealedMessagesAreOpenedAndMadeAsTheContractSays) {
    const json vectors = vectors_of("sealed");
    ASSERT_GE(vectors.size(), 3U);
    LinkOpener opener(bytes_of<32>(vectors[0], "key"));
    LinkSealer sealer(bytes_of<32>(vectors[0], "key"));
    for (const json& vector : vectors) {
        SCOPED_TRACE(vector.at("name"));
        const auto bytes = *from_hex(vector.at("hex").get<std::string>());
        const auto message = protocol::decode_message(bytes);
        ASSERT_TRUE(message.ok());
        Bytes body;
        const Status opened = opener.open(message->header, message->body, body);
        ASSERT_TRUE(opened.ok()) << opened.error().detail;
        EXPECT_EQ(to_hex(body), vector.at("body"));
        if (vector.at("counter").get<std::string>().size() > 1) continue;  // ours count from 1
        const auto head = protocol::encode_header(message->header);
        Bytes sealed(head.begin(), head.end());
        const ByteSpan whole(body);
        sealer.seal(message->header, whole.first(body.size() / 2), whole.subspan(body.size() / 2),
                    sealed);
        EXPECT_EQ(to_hex(sealed), vector.at("hex"));
    }
}

class AuthTest : public ::testing::Test {
 protected:
    static crypto::SharedKey key_of(std::uint8_t fill) {
        crypto::SharedKey key;
        key.fill(fill);
        return key;
    }
    static LinkFingerprints ends(std::uint8_t offerer, std::uint8_t answerer) {
        LinkFingerprints both;
        both.offerer.fill(offerer);
        both.answerer.fill(answerer);
        return both;
    }
    /// The words with which `bob` refuses `auth` on the connection `on`.
    std::string refusal(const protocol::Auth& auth, const LinkFingerprints& on) {
        const auto answered = bob.answer(auth, on);
        EXPECT_FALSE(answered.ok());
        if (answered.ok()) return "";
        EXPECT_EQ(answered.error().code, ErrorCode::kInvalid);
        return answered.error().detail;
    }

    ManualClock clock;
    SeededRandom random{1};
    const LinkFingerprints here = ends(1, 2);
    Authenticator alice{key_of(7), "alice", clock, random};
    Authenticator bob{key_of(7), "bob", clock, random};
};

TEST_F(AuthTest, BothSidesHoldTheSameKeysAndKnowEachOther) {
    const protocol::Auth offer = alice.offer(here);
    const auto answered = bob.answer(offer, here);
    ASSERT_TRUE(answered.ok()) << answered.error().detail;
    const auto link = alice.accept(offer, answered->answer, here);
    ASSERT_TRUE(link.ok()) << link.error().detail;
    EXPECT_EQ(answered->link.fellow_id, "alice");
    EXPECT_EQ(link->fellow_id, "bob");
    EXPECT_EQ(link->keys, answered->link.keys);
    EXPECT_NE(link->keys.from_offerer, link->keys.from_answerer);
    EXPECT_EQ(bob.accepted(), 1U);
}

TEST_F(AuthTest, EachLinkHasKeysOfItsOwn) {
    const auto first = bob.answer(alice.offer(here), here);
    const auto second = bob.answer(alice.offer(here), here);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_NE(first->link.keys, second->link.keys);
}

TEST_F(AuthTest, AnotherKeyIsRefused) {
    Authenticator stranger(key_of(8), "alice", clock, random);
    EXPECT_THAT(refusal(stranger.offer(here), here), ::testing::HasSubstr("is the shared key"));
    EXPECT_EQ(bob.refused(AuthRefusal::kWrongKey), 1U);
}

TEST_F(AuthTest, ATokenThatWasAlteredIsRefused) {
    protocol::Auth offer = alice.offer(here);
    offer.token[31] ^= 1;
    refusal(offer, here);
    offer.token[31] ^= 1;
    offer.worker_id = "carol";  // whose token it is not
    refusal(offer, here);
    offer.worker_id = "alice";
    ++offer.timestamp_s;
    refusal(offer, here);
    EXPECT_EQ(bob.refused(AuthRefusal::kWrongKey), 3U);
}

TEST_F(AuthTest, AStaleTimestampIsRefusedAndTheWordsSayHowFarItIsOff) {
    protocol::Auth offer = alice.offer(here);
    clock.advance(seconds(61));
    EXPECT_THAT(refusal(offer, here), ::testing::HasSubstr("61 s behind"));
    ManualClock fast;
    fast.set_wall(clock.wall_now() + seconds(100));
    Authenticator ahead(key_of(7), "ahead", fast, random);
    EXPECT_THAT(refusal(ahead.offer(here), here), ::testing::HasSubstr("100 s ahead"));
    EXPECT_EQ(bob.refused(AuthRefusal::kStale), 2U);
}

TEST_F(AuthTest, TimestampsAtTheEdgeAreTaken) {
    const protocol::Auth offer = alice.offer(here);
    clock.advance(seconds(60));
    EXPECT_TRUE(bob.answer(offer, here).ok());
}

TEST_F(AuthTest, NoTimestampOverflows) {
    for (const std::uint64_t stamp : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{1} << 63}) {
        AuthClaim claim;
        claim.worker_id = "alice";
        claim.timestamp_s = stamp;
        claim.fingerprints = here;
        refusal(make_auth(key_of(7), claim), here);
    }
    EXPECT_EQ(bob.refused(AuthRefusal::kStale), 3U);
}

TEST_F(AuthTest, AReplayOnTheSameConnectionIsRefused) {
    const protocol::Auth offer = alice.offer(here);
    ASSERT_TRUE(bob.answer(offer, here).ok());
    EXPECT_THAT(refusal(offer, here), ::testing::HasSubstr("replay"));
    EXPECT_EQ(bob.refused(AuthRefusal::kReplayed), 1U);
}

TEST_F(AuthTest, WhatWasMadeForAnotherConnectionIsRefused) {
    const protocol::Auth offer = alice.offer(here);
    EXPECT_THAT(refusal(offer, ends(3, 2)), ::testing::HasSubstr("another connection"));
    EXPECT_THAT(refusal(offer, ends(1, 3)), ::testing::HasSubstr("another connection"));
    EXPECT_THAT(refusal(offer, ends(2, 1)), ::testing::HasSubstr("another connection"));
    EXPECT_EQ(bob.refused(AuthRefusal::kProof), 3U);
    EXPECT_EQ(bob.remembered_nonces(), 0U) << "what is refused takes no room";
}

TEST_F(AuthTest, AManInTheMiddleWhoPassesOnEveryWordIsRefusedByBoth) {
    const LinkFingerprints to_mallory = ends(1, 9);
    const LinkFingerprints from_mallory = ends(9, 2);
    const protocol::Auth offer = alice.offer(to_mallory);
    EXPECT_THAT(refusal(offer, from_mallory), ::testing::HasSubstr("in the middle"));
    // And were bob to answer all the same:
    const auto answered = bob.answer(alice.offer(from_mallory), from_mallory);
    ASSERT_TRUE(answered.ok());
    const auto link = alice.accept(offer, answered->answer, to_mallory);
    ASSERT_FALSE(link.ok());
    EXPECT_THAT(link.error().detail, ::testing::HasSubstr("in the middle"));
}

TEST_F(AuthTest, AReflectedAuthIsRefused) {
    const protocol::Auth offer = alice.offer(here);
    const auto link = alice.accept(offer, offer, here);
    ASSERT_FALSE(link.ok());
    EXPECT_THAT(link.error().detail, ::testing::HasSubstr("its own words came back"));
    EXPECT_EQ(alice.refused(AuthRefusal::kOwnId), 1U);
}

TEST_F(AuthTest, AnOffererIsNoAnswererNorTheOtherWayRound) {
    const protocol::Auth offer = alice.offer(here);
    Authenticator carol(key_of(7), "carol", clock, random);
    EXPECT_FALSE(carol.accept(carol.offer(here), offer, here).ok());
    EXPECT_EQ(carol.refused(AuthRefusal::kProof), 1U);
    const auto answered = bob.answer(offer, here);
    ASSERT_TRUE(answered.ok());
    EXPECT_FALSE(carol.answer(answered->answer, here).ok());
    EXPECT_EQ(carol.refused(AuthRefusal::kProof), 2U);
}

TEST_F(AuthTest, AnAnswerToAnotherOfferIsRefused) {
    const protocol::Auth first = alice.offer(here);
    const auto answered = bob.answer(first, here);
    ASSERT_TRUE(answered.ok());
    EXPECT_FALSE(alice.accept(alice.offer(here), answered->answer, here).ok());
    EXPECT_EQ(alice.refused(AuthRefusal::kProof), 1U);
}

TEST_F(AuthTest, AnIdThatWouldMakeTwoReadingsIsRefused) {
    for (const char* id : {"", "a:b", "a\nb", "a b", "\xc3\xa9"}) {
        AuthClaim claim;
        claim.worker_id = id;
        claim.timestamp_s = alice.offer(here).timestamp_s;
        claim.fingerprints = here;
        EXPECT_THAT(refusal(make_auth(key_of(7), claim), here), ::testing::HasSubstr("worker id"));
    }
    EXPECT_EQ(bob.refused(AuthRefusal::kBadId), 5U);
}

TEST_F(AuthTest, NoncesAreForgottenWhenTheirTimestampsAreStale) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(bob.answer(alice.offer(here), here).ok());
    EXPECT_EQ(bob.remembered_nonces(), 10U);
    clock.advance(seconds(61));
    ASSERT_TRUE(bob.answer(alice.offer(here), here).ok());
    EXPECT_EQ(bob.remembered_nonces(), 1U);
}

TEST_F(AuthTest, TheMemoryForNoncesIsBounded) {
    for (std::size_t i = 0; i < kMaxRememberedNonces; ++i) {
        ASSERT_TRUE(bob.answer(alice.offer(here), here).ok());
    }
    const auto answered = bob.answer(alice.offer(here), here);
    ASSERT_FALSE(answered.ok());
    EXPECT_EQ(answered.error().code, ErrorCode::kLimit);
    EXPECT_EQ(bob.refused(AuthRefusal::kTooMany), 1U);
}

class SealTest : public ::testing::Test {
 protected:
    static protocol::Header header(std::uint32_t id) {
        return {protocol::MessageType::kChunkRequest, protocol::Flag::kEncrypted,
                protocol::RequestId{id}};
    }
    Bytes seal(std::uint32_t id, const std::string& text) {
        Bytes out;
        sealer.seal(header(id), {}, as_bytes(text), out);
        return out;
    }
    Status open(std::uint32_t id, ByteSpan sealed) { return opener.open(header(id), sealed, body); }

    LinkSealer sealer{LinkKey{1}};
    LinkOpener opener{LinkKey{1}};
    Bytes body;
};

TEST_F(SealTest, WhatIsSealedIsOpenedAndTakesAFixedRoom) {
    for (const char* text : {"", "a", "some words"}) {
        const Bytes sealed = seal(1, text);
        EXPECT_EQ(sealed.size(), std::string(text).size() + kSealBytes);
        ASSERT_TRUE(open(1, sealed).ok());
        EXPECT_EQ(as_text(body), text);
    }
}

TEST_F(SealTest, NothingAlteredIsOpened) {
    const Bytes sealed = seal(1, "some words");
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        Bytes altered = sealed;
        altered[i] ^= 0x40;
        const Status opened = open(1, altered);
        ASSERT_FALSE(opened.ok()) << i;
        EXPECT_EQ(opened.error().detail, "the seal does not verify");
    }
    EXPECT_FALSE(open(2, sealed).ok()) << "the header is sealed in";
    auto other = header(1);
    other.flags = other.flags | protocol::Flag::kMore;
    EXPECT_FALSE(opener.open(other, sealed, body).ok());
    EXPECT_TRUE(open(1, sealed).ok()) << "what was refused did no harm";
}

TEST_F(SealTest, AShortBodyIsRefused) {
    const Bytes sealed = seal(1, "");
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        EXPECT_EQ(open(1, ByteSpan(sealed).first(size)).error().code, ErrorCode::kInvalid);
    }
}

TEST_F(SealTest, ACounterThatDoesNotGrowIsRefused) {
    const Bytes first = seal(1, "one");
    const Bytes second = seal(1, "two");
    ASSERT_TRUE(open(1, second).ok());
    for (const Bytes& old : {first, second}) {
        const Status opened = open(1, old);
        ASSERT_FALSE(opened.ok());
        EXPECT_THAT(opened.error().detail, ::testing::HasSubstr("does not grow"));
    }
    EXPECT_TRUE(open(1, seal(1, "three")).ok());
}

TEST_F(SealTest, AnotherKeyOpensNothing) {
    LinkOpener other(LinkKey{2});
    EXPECT_FALSE(other.open(header(1), seal(1, "words"), body).ok());
}

}  // namespace
}  // namespace kollator::cluster
