#include "rtc/dtls/record_layer.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <string>
#include <vector>

namespace kollator::rtc {
namespace {

DirectionKeys make_keys(std::size_t key_bytes, std::uint8_t first) {
    DirectionKeys keys;
    keys.key.resize(key_bytes);
    std::iota(keys.key.begin(), keys.key.end(), first);
    keys.salt = {first, 2, 3, 4};
    return keys;
}

Bytes seal(RecordLayer& layer, ByteSpan plain, RecordType type = RecordType::kApplicationData) {
    Bytes out(plain.size() + RecordLayer::kOverheadBytes);
    out.resize(layer.seal(type, plain, out));
    return out;
}

/// What the layer makes of a datagram's first record; empty where it drops it.
std::optional<Bytes> open(RecordLayer& layer, ByteSpan datagram) {
    const std::optional<Record> record = take_record(datagram);
    if (!record) return std::nullopt;
    Bytes plain(record->fragment.size());
    const auto size = layer.open(*record, plain);
    if (!size) return std::nullopt;
    plain.resize(*size);
    return plain;
}

Bytes bytes_of(std::string_view text) {
    return Bytes(text.begin(), text.end());
}

class RecordLayerTest : public ::testing::TestWithParam<std::size_t> {
 protected:
    DirectionKeys a = make_keys(GetParam(), 1);
    DirectionKeys b = make_keys(GetParam(), 100);
    std::unique_ptr<RecordLayer> left = RecordLayer::make(a, b, 1);
    std::unique_ptr<RecordLayer> right = RecordLayer::make(b, a, 1);
};
INSTANTIATE_TEST_SUITE_P(KeyBytes, RecordLayerTest, ::testing::Values(16, 32));

TEST_P(RecordLayerTest, RecordsOfEverySizeComeBack) {
    for (const std::size_t size : {0, 1, 15, 16, 17, 63, 64, 1160, 16383, 16384}) {
        Bytes plain(size);
        std::iota(plain.begin(), plain.end(), 7);
        const Bytes sealed = seal(*left, plain);
        EXPECT_EQ(sealed.size(), size + 37);
        EXPECT_EQ(open(*right, sealed), plain) << size;
    }
}

TEST_P(RecordLayerTest, NoBitOfARecordCanBeChanged) {
    const Bytes sealed = seal(*left, bytes_of("the truth"));
    for (std::size_t at = 0; at < sealed.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            Bytes forged = sealed;
            forged[at] ^= static_cast<std::uint8_t>(1 << bit);
            EXPECT_FALSE(open(*right, forged)) << at;
        }
    }
    EXPECT_EQ(open(*right, sealed), bytes_of("the truth"));
}

TEST_P(RecordLayerTest, ATruncatedRecordIsDropped) {
    const Bytes sealed = seal(*left, bytes_of("whole"));
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        Bytes cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(open(*right, cut));
        if (size < kRecordHeaderBytes) continue;
        store_u16(cut.data() + 11, static_cast<std::uint16_t>(size - kRecordHeaderBytes));
        EXPECT_FALSE(open(*right, cut)) << size;
    }
    EXPECT_TRUE(open(*right, sealed));
}

TEST_P(RecordLayerTest, ARecordIsTakenOnce) {
    const Bytes sealed = seal(*left, bytes_of("once"));
    EXPECT_TRUE(open(*right, sealed));
    EXPECT_FALSE(open(*right, sealed));
}

TEST_P(RecordLayerTest, RecordsMayOvertakeEachOtherByTheWindowAndNoMore) {
    std::vector<Bytes> sealed;
    for (int i = 0; i < 66; ++i) sealed.push_back(seal(*left, bytes_of(std::to_string(i))));
    EXPECT_TRUE(open(*right, sealed[65]));
    for (std::size_t i = 2; i < 65; ++i) EXPECT_TRUE(open(*right, sealed[i])) << i;
    EXPECT_FALSE(open(*right, sealed[1]));  // 64 behind the newest
    EXPECT_FALSE(open(*right, sealed[0]));
    for (std::size_t i = 2; i < 66; ++i) EXPECT_FALSE(open(*right, sealed[i])) << i;
}

TEST_P(RecordLayerTest, AForgedSequenceNumberDoesNotMoveTheWindow) {
    const Bytes sealed = seal(*left, bytes_of("here"));
    Bytes far_ahead = seal(*left, bytes_of("forged"));
    store_u32(far_ahead.data() + 7, 0x7fffffff);
    EXPECT_FALSE(open(*right, far_ahead));
    EXPECT_TRUE(open(*right, sealed));
}

TEST_P(RecordLayerTest, OtherEpochsAndVersionsAreDropped) {
    const Bytes sealed = seal(*left, bytes_of("epoch 1"));
    for (const std::uint16_t epoch : std::array<std::uint16_t, 3>{0, 2, 0xffff}) {
        Bytes other = sealed;
        store_u16(other.data() + 3, epoch);
        EXPECT_FALSE(open(*right, other));
    }
    Bytes dtls10 = sealed;
    store_u16(dtls10.data() + 1, 0xfeff);
    EXPECT_FALSE(open(*right, dtls10));
    EXPECT_TRUE(open(*right, sealed));
}

TEST_P(RecordLayerTest, AnotherTypeIsAnotherRecord) {
    Bytes sealed = seal(*left, bytes_of("data"));
    sealed[0] = static_cast<std::uint8_t>(RecordType::kAlert);
    EXPECT_FALSE(open(*right, sealed));
}

TEST_P(RecordLayerTest, TheLastSequenceNumberIsTheEnd) {
    left = RecordLayer::make(a, b, kLastSequence);
    const Bytes last = seal(*left, bytes_of("last"));
    EXPECT_EQ(open(*right, last), bytes_of("last"));
    EXPECT_TRUE(seal(*left, bytes_of("one more")).empty());
    EXPECT_FALSE(open(*right, last));
}

TEST_P(RecordLayerTest, NoNonceIsUsedTwice) {
    const Bytes first = seal(*left, bytes_of("same"));
    const Bytes second = seal(*left, bytes_of("same"));
    EXPECT_NE(Bytes(first.begin() + 13, first.begin() + 21),
              Bytes(second.begin() + 13, second.begin() + 21));
}

/// Both ciphers give the same bytes, whatever the sizes: a fast one must not be a wrong one.
TEST(RecordCipherTest, IpsecMbAgreesWithOpenSsl) {
    for (const std::size_t key_bytes : {16, 32}) {
        const DirectionKeys keys = make_keys(key_bytes, 9);
        const auto fast_seal = make_ipsec_mb_record_cipher(keys.key);
        if (!fast_seal) GTEST_SKIP() << "not in this build, or not on this CPU";
        const auto evp_seal = make_evp_record_cipher(keys.key, CipherDirection::kSeal);
        const auto evp_open = make_evp_record_cipher(keys.key, CipherDirection::kOpen);
        RecordCipher::Nonce nonce{1, 2, 3};
        const Bytes associated(13, 5);
        for (std::size_t size = 0; size < 1300; ++size) {
            nonce[11] = static_cast<std::uint8_t>(size);
            const Bytes plain(size, static_cast<std::uint8_t>(size));
            Bytes fast(size + 16), slow(size + 16), back(size);
            ASSERT_TRUE(fast_seal->seal(nonce, associated, plain, fast.data()));
            ASSERT_TRUE(evp_seal->seal(nonce, associated, plain, slow.data()));
            ASSERT_EQ(fast, slow) << size;
            ASSERT_TRUE(evp_open->open(nonce, associated, fast, back.data()));
            ASSERT_EQ(back, plain);
            Bytes again(size);
            ASSERT_TRUE(fast_seal->open(nonce, associated, slow, again.data()));
            ASSERT_EQ(again, plain);
            slow.back() ^= 1;
            EXPECT_FALSE(fast_seal->open(nonce, associated, slow, again.data()));
            EXPECT_FALSE(evp_open->open(nonce, associated, slow, back.data()));
        }
    }
}

/// The GCM specification's test case 4 (McGrew and Viega, appendix B): 60 bytes, 20 associated.
TEST(RecordCipherTest, KnownAnswer) {
    const Bytes key = *from_hex("feffe9928665731c6d6a8f9467308308");
    const Bytes iv = *from_hex("cafebabefacedbaddecaf888");
    const Bytes plain = *from_hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525b16aedf5aa0de657ba637b39");
    const Bytes associated = *from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const Bytes expected = *from_hex(
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac"
        "84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47");
    RecordCipher::Nonce nonce{};
    std::copy(iv.begin(), iv.end(), nonce.begin());
    for (const auto& cipher :
         {make_evp_record_cipher(key, CipherDirection::kSeal), make_ipsec_mb_record_cipher(key)}) {
        if (!cipher) continue;
        Bytes sealed(plain.size() + 16);
        ASSERT_TRUE(cipher->seal(nonce, associated, plain, sealed.data()));
        EXPECT_EQ(to_hex(sealed), to_hex(expected));
    }
}

TEST(RecordTest, TakesRecordsOffADatagramOneByOne) {
    Bytes datagram(2 * kRecordHeaderBytes + 3);
    write_record_header(datagram.data(), RecordType::kHandshake, 0, 5, 2);
    write_record_header(datagram.data() + kRecordHeaderBytes + 2, RecordType::kApplicationData, 1,
                        kLastSequence, 1);
    ByteSpan rest(datagram);
    const auto first = take_record(rest);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->type, RecordType::kHandshake);
    EXPECT_EQ(first->epoch, 0);
    EXPECT_EQ(first->sequence, 5U);
    EXPECT_EQ(first->fragment.size(), 2U);
    const auto second = take_record(rest);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->epoch, 1);
    EXPECT_EQ(second->sequence, kLastSequence);
    EXPECT_TRUE(rest.empty());
    EXPECT_FALSE(take_record(rest));
}

}  // namespace
}  // namespace kollator::rtc
