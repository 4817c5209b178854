#include "front/web_assets.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

namespace kollator::front {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const WebAsset* find_asset(std::string_view path) {
    const auto assets = web_assets();
    const auto found = std::ranges::find(assets, path, &WebAsset::path);
    return found == assets.end() ? nullptr : &*found;
}

std::string text_of(const WebAsset& asset) {
    return {asset.bytes.begin(), asset.bytes.end()};
}

TEST(WebAssetsTest, ThePageIsThere) {
    const auto* page = find_asset("/");
    ASSERT_NE(page, nullptr);
    EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
    EXPECT_THAT(text_of(*page), StartsWith("<!doctype html>"));
}

TEST(WebAssetsTest, EveryFileThePageNamesIsThere) {
    const std::string page = text_of(*find_asset("/"));
    for (const std::string_view path : {"/app.js", "/style.css", "/favicon.svg"}) {
        EXPECT_THAT(page, HasSubstr("\"" + std::string(path) + "\""));
        EXPECT_NE(find_asset(path), nullptr) << path;
    }
    EXPECT_THAT(text_of(*find_asset("/app.js")), HasSubstr("/hash_worker.js"));
    EXPECT_NE(find_asset("/hash_worker.js"), nullptr);
}

TEST(WebAssetsTest, EachHasATypeAQuotedEtagAndASmallerGzipForm) {
    for (const auto& asset : web_assets()) {
        SCOPED_TRACE(asset.path);
        EXPECT_FALSE(asset.content_type.empty());
        ASSERT_EQ(asset.etag.size(), 34U);
        EXPECT_EQ(asset.etag.front(), '"');
        EXPECT_EQ(asset.etag.back(), '"');
        ASSERT_GE(asset.gzip_bytes.size(), 18U);
        EXPECT_EQ(asset.gzip_bytes[0], 0x1F);
        EXPECT_EQ(asset.gzip_bytes[1], 0x8B);
        EXPECT_LT(asset.gzip_bytes.size(), asset.bytes.size());
    }
}

TEST(WebAssetsTest, NothingIsLoadedFromElsewhere) {
    for (const auto& asset : web_assets()) {
        const std::string text = text_of(asset);
        for (const std::string_view marker : {"src=\"http", "href=\"http", "url(http", "@import"}) {
            EXPECT_EQ(text.find(marker), std::string::npos) << asset.path << " " << marker;
        }
    }
}

}  // namespace
}  // namespace kollator::front
