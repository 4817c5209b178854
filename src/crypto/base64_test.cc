#include "crypto/base64.h"

#include <gtest/gtest.h>

#include <utility>

namespace kollator::crypto {
namespace {

// RFC 4648 10.
TEST(Base64, WritesTheVectorsOfItsRfc) {
    const std::pair<const char*, const char*> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(as_bytes(plain)), coded);
}

TEST(Base64Url, ReadsWhatItWrites) {
    Bytes bytes;
    for (int i = 0; i < 64; ++i) {
        const auto read = from_base64url(base64url(bytes));
        ASSERT_TRUE(read.has_value()) << i;
        EXPECT_EQ(*read, bytes);
        bytes.push_back(static_cast<std::uint8_t>(i * 37 + 251));
    }
    EXPECT_EQ(base64url(Bytes{0xfb, 0xff}), "-_8");
}

TEST(Base64Url, RefusesWhatItNeverWrites) {
    for (const char* text :
         {"+_8", "-/8", "-_8=", "-_9", "A", "Zg==", "Z g", "Zm9v\n", "\xc3\xbc"}) {
        EXPECT_FALSE(from_base64url(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace kollator::crypto
