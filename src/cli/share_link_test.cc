#include "cli/share_link.h"

#include <gtest/gtest.h>

namespace kollator::cli {
namespace {

const std::string kHex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const MetadataId kId = *MetadataId::from_hex(kHex);

TEST(ShareLinkTest, IsWrittenAsThePageWritesIt) {
    EXPECT_EQ(format_link({kId, "größe 😀/a.txt", "http://f:8080"}),
              "http://f:8080/#" + kHex + "/gr%C3%B6%C3%9Fe%20%F0%9F%98%80%2Fa.txt");
    EXPECT_EQ(format_link({kId, "it's-(a)_b!~*.c", ""}), "#" + kHex + "/it's-(a)_b!~*.c");
    EXPECT_EQ(format_link({kId, "", "https://f"}), "https://f/#" + kHex);
}

TEST(ShareLinkTest, TakesALinkItsFragmentOrTheDigits) {
    const ShareLink whole{kId, "a b", "http://f:8080"};
    EXPECT_EQ(parse_link("http://f:8080/#" + kHex + "/a%20b"), whole);
    EXPECT_EQ(parse_link(" http://f:8080/page?x=1#" + kHex + "/a b\n"), whole);
    EXPECT_EQ(parse_link("#" + kHex), (ShareLink{kId}));
    EXPECT_EQ(parse_link("00112233445566778899AABBCCDDEEFF" + kHex.substr(32)), (ShareLink{kId}));
    EXPECT_EQ(parse_link("https://f#" + kHex)->front_url, "https://f");
    EXPECT_EQ(parse_link("#" + kHex + "/100%")->name, "") << "a name that cannot be read";
}

TEST(ShareLinkTest, RefusesWhatIsNone) {
    for (const std::string& text : {std::string(), std::string("#"), kHex.substr(1), kHex + "0",
                                    kHex + "x/y", "http://f/" + kHex, std::string(64, 'g')}) {
        EXPECT_FALSE(parse_link(text)) << text;
    }
}

}  // namespace
}  // namespace kollator::cli
