#include "chunk/denylist.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

namespace kollator::chunk {
namespace {

const std::string kOne(64, 'a');
const std::string kTwo = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff";

Denylist::Hash hash_of(const std::string& hex) {
    std::string lower = hex;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    Denylist::Hash hash{};
    const auto bytes = from_hex(lower);
    std::copy(bytes->begin(), bytes->end(), hash.begin());
    return hash;
}

ParsedDenylist parse(const std::string& text) {
    return parse_denylist(as_bytes(text));
}

TEST(Denylist, TakesWhatPeopleWrite) {
    const auto parsed =
        parse("\xEF\xBB\xBF# taken down on Monday\r\n\r\n  " + kOne + "\t# by order 12\r\n" + kTwo +
              "\n\n" + kOne + "\n#" + std::string(63, '0') + "\n");
    EXPECT_EQ(parsed.fault_count, 0U);
    ASSERT_EQ(parsed.list->size(), 2U);  // one of them twice
    EXPECT_TRUE(parsed.list->contains(hash_of(kOne)));
    EXPECT_TRUE(parsed.list->contains(hash_of(kTwo)));
    EXPECT_FALSE(parsed.list->contains(hash_of(std::string(64, 'b'))));
    EXPECT_TRUE(std::is_sorted(parsed.list->hashes().begin(), parsed.list->hashes().end()));
}

TEST(Denylist, TellsWrongLinesByTheirNumberAndTakesTheOthers) {
    const auto parsed = parse("# fine\n" + kOne + "\nnonsense\n" + kTwo + "0\n" +
                              std::string(63, 'a') + "g\n" + kTwo + "\n" + kOne + " " + kTwo);
    EXPECT_EQ(parsed.list->size(), 2U);
    EXPECT_EQ(parsed.fault_count, 4U);
    ASSERT_EQ(parsed.faults.size(), 4U);
    EXPECT_EQ(parsed.faults[0].line, 3U);
    EXPECT_EQ(parsed.faults[0].what, "expected 64 hex digits, found 8 characters");
    EXPECT_EQ(parsed.faults[1].line, 4U);
    EXPECT_EQ(parsed.faults[2].line, 5U);
    EXPECT_EQ(parsed.faults[3].line, 7U);
}

TEST(Denylist, TellsTheFirstFaultsOfAFileThatIsAnother) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "line\n";
    const auto parsed = parse(text);
    EXPECT_EQ(parsed.list->size(), 0U);
    EXPECT_EQ(parsed.fault_count, 1000U);
    EXPECT_EQ(parsed.faults.size(), kMaxToldFaults);
}

TEST(Denylist, AFileCutAnywhereGivesTheWholeLinesBeforeTheCut) {
    const std::string text = kOne + "\r\n# why\n" + kTwo + "\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        const auto parsed = parse(text.substr(0, cut));
        const std::size_t whole = (cut >= 64 ? 1U : 0U) + (cut >= text.size() - 1 ? 1U : 0U);
        EXPECT_EQ(parsed.list->size(), whole) << cut;
        EXPECT_LE(parsed.fault_count, 1U) << cut;
    }
}

TEST(Denylist, HoldsAMillionNames) {
    std::string text;
    text.reserve(65'000'000);
    char line[66];
    for (std::uint32_t i = 0; i < 1'000'000; ++i) {
        std::snprintf(line, sizeof line, "%08x%056x\n", i * 2'654'435'761U, i);  // in no order
        text += line;
    }
    const auto parsed = parse(text);
    EXPECT_EQ(parsed.list->size(), 1'000'000U);
    EXPECT_TRUE(parsed.list->contains(hash_of(text.substr(65 * 999'999, 64))));
}

TEST(Denylist, ItsRefusalIsKnownByItsWords) {
    EXPECT_TRUE(is_refusal(refused_by_denylist()));
    EXPECT_EQ(refused_by_denylist().code, ErrorCode::kNotFound);
    EXPECT_FALSE(is_refusal(make_error(ErrorCode::kNotFound, "chunks/00")));
}

}  // namespace
}  // namespace kollator::chunk
