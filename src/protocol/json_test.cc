#include "protocol/json.h"

#include <gtest/gtest.h>

#include <string>

namespace kollator::protocol {
namespace {

std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

TEST(Json, RefusesWhatIsNestedDeeperThanTheLimit) {
    EXPECT_TRUE(parse_json(nested(32)).ok());
    const auto deep = parse_json(nested(33));
    ASSERT_FALSE(deep.ok());
    EXPECT_EQ(deep.error().code, ErrorCode::kLimit);
    EXPECT_FALSE(parse_json(nested(32 * 1024)).ok());
    EXPECT_FALSE(parse_json("{\"a\":{\"b\":1}}", {.max_bytes = 100, .max_depth = 1}).ok());
    EXPECT_TRUE(parse_json("17", {.max_bytes = 100, .max_depth = 0}).ok());
}

TEST(Json, RefusesWhatIsLongerThanTheLimit) {
    const std::string longest = "\"" + std::string(64 * 1024 - 2, 'x') + "\"";
    EXPECT_TRUE(parse_json(longest).ok());
    const auto over = parse_json(longest + " ");
    ASSERT_FALSE(over.ok());
    EXPECT_EQ(over.error().code, ErrorCode::kLimit);
}

TEST(Json, RefusesWhatIsNoJson) {
    for (const char* text : {"", "{", "{]", "nul", "{} {}", "\"\xff\"", "[1,]", "{'a':1}"}) {
        const auto value = parse_json(text);
        ASSERT_FALSE(value.ok()) << text;
        EXPECT_EQ(value.error().code, ErrorCode::kInvalid) << text;
    }
    // Deep and broken at once: never accepted.
    EXPECT_FALSE(parse_json(std::string(60'000, '[')).ok());
}

TEST(Json, RefusesEveryTruncationOfAnObject) {
    const std::string whole = R"({"type":"signal","data":{"list":[1,2.5,true,null,"ü"]}})";
    ASSERT_TRUE(parse_json_object(whole).ok());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(parse_json_object(whole.substr(0, size)).ok()) << size;
    }
}

TEST(Json, AnObjectIsAskedForByName) {
    EXPECT_FALSE(parse_json_object("[]").ok());
    const auto value = parse_json_object(
        R"({"text":"a","count":7,"below":-7,"most":18446744073709551615,"yes":true,"real":1.5})");
    ASSERT_TRUE(value.ok());
    ASSERT_NE(find_string(*value, "text"), nullptr);
    EXPECT_EQ(*find_string(*value, "text"), "a");
    EXPECT_EQ(find_string(*value, "count"), nullptr);
    EXPECT_EQ(find_string(*value, "missing"), nullptr);
    EXPECT_EQ(find_unsigned(*value, "count"), 7U);
    EXPECT_EQ(find_unsigned(*value, "below"), std::nullopt);
    EXPECT_EQ(find_unsigned(*value, "real"), std::nullopt);
    EXPECT_EQ(find_integer(*value, "below"), -7);
    EXPECT_EQ(find_integer(*value, "count"), 7);
    EXPECT_EQ(find_integer(*value, "most"), std::nullopt);
    EXPECT_EQ(find_bool(*value, "yes"), true);
    EXPECT_EQ(find_bool(*value, "text"), std::nullopt);
    EXPECT_EQ(find_member(nlohmann::json("no object"), "text"), nullptr);
}

TEST(Json, PrintingNeverThrowsOnBytesThatAreNotUtf8) {
    EXPECT_EQ(to_json_text(nlohmann::json("a\xff")), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace kollator::protocol
