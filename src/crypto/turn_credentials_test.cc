#include "crypto/turn_credentials.h"

#include <gtest/gtest.h>

namespace kollator::crypto {
namespace {

constexpr WallTime kNow{std::chrono::seconds(1'763'800'000)};

/// The passwords by `printf 1763886400:anna | openssl dgst -sha1 -hmac shared -binary | base64`.
TEST(TurnCredentials, AreGoodForADay) {
    const TurnCredentials made = turn_credentials("shared", "anna", kNow);
    EXPECT_EQ(made.username, "1763886400:anna");
    EXPECT_EQ(made.password, "aynd+1kBr1/dT3SnXL9ZlwNi7E4=");
}

TEST(TurnCredentials, HaveAName) {
    const TurnCredentials made = turn_credentials("shared", "", kNow);
    EXPECT_EQ(made.username, "1763886400:kollator");
    EXPECT_EQ(made.password, "9YE3AqCN6xGLwKwg16HKODtGCNY=");
}

}  // namespace
}  // namespace kollator::crypto
