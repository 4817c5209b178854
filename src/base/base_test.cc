#include <gtest/gtest.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/siphash.h"

namespace kollator {
namespace {

TEST(Hex, RoundTripsAndRefusesWhatIsNoHex) {
    const Bytes bytes{0x00, 0x7f, 0xff, 0xa5};
    EXPECT_EQ(to_hex(bytes), "007fffa5");
    EXPECT_EQ(from_hex("007FffA5"), bytes);
    EXPECT_FALSE(from_hex("0"));
    EXPECT_FALSE(from_hex("0g"));
}

TEST(Ids, HaveOneSpelling) {
    const std::string name(64, 'a');
    ASSERT_TRUE(ChunkId::from_hex(name));
    EXPECT_EQ(ChunkId::from_hex(name)->hex(), name);
    EXPECT_FALSE(ChunkId::from_hex(std::string(64, 'A')));
    EXPECT_FALSE(ChunkId::from_hex(name.substr(1)));
}

TEST(Ids, ADhtKeyIsTheTruncatedHash) {
    Bytes bytes(32);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
    EXPECT_EQ(to_info_hash(*MetadataId::from_bytes(bytes)).hex(),
              "000102030405060708090a0b0c0d0e0f10111213");
}

TEST(ByteReader, StaysBadAfterTheFirstShortRead) {
    const Bytes bytes{1, 2, 3};
    ByteReader reader(bytes);
    EXPECT_EQ(reader.u16(), 0x0102);
    EXPECT_EQ(reader.u32(), 0U);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.u8(), 0U);
}

TEST(ByteWriter, WritesBigEndian) {
    Bytes out;
    ByteWriter writer(out);
    writer.u8(1);
    writer.u16(0x0203);
    writer.u32(0x04050607);
    writer.u64(0x08090a0b0c0d0e0fULL);
    EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e0f");
}

TEST(Siphash, MatchesTheAuthorsVectors) {
    // Appendix A of the SipHash paper: key 00..0f, input 00..0e.
    const SiphashKey key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
    Bytes input(15);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::uint8_t>(i);
    EXPECT_EQ(siphash(input, key), 0xa129ca6149be45e5ULL);
}

TEST(ByteBudget, NeverLendsMoreThanItsLimit) {
    ByteBudget budget(10);
    auto first = budget.try_acquire(6);
    EXPECT_TRUE(first);
    EXPECT_FALSE(budget.try_acquire(5));
    auto second = budget.try_acquire(4);
    EXPECT_TRUE(second);
    first = {};
    EXPECT_EQ(budget.used_bytes(), 4U);
    EXPECT_FALSE(budget.try_acquire(11));
}

TEST(DebugFilter, KnowsWildcardsAndExclusions) {
    EXPECT_TRUE(log::filter_matches("kollator:*", "kollator:rtc"));
    EXPECT_TRUE(log::filter_matches("other kollator:rtc", "kollator:rtc"));
    EXPECT_FALSE(log::filter_matches("kollator:*,-kollator:rtc", "kollator:rtc"));
    EXPECT_FALSE(log::filter_matches("", "kollator:rtc"));
}

TEST(Metrics, ShowInThePrometheusFormat) {
    MetricsRegistry registry;
    registry.counter("kollator_test_total", "Things.", {{"kind", "a"}}).add(2);
    registry.counter("kollator_test_total", "Things.", {{"kind", "a"}}).add(1);
    EXPECT_NE(registry.to_text().find("kollator_test_total{kind=\"a\"} 3"), std::string::npos);
}

TEST(WriteFileDurably, ReplacesTheWholeContent) {
    const auto folder = std::filesystem::temp_directory_path() /
                        ("kollator-base-test-" + std::to_string(::getpid()));
    FileSystem& fs = posix_file_system();
    ASSERT_TRUE(fs.make_directories(folder));
    ASSERT_TRUE(write_file_durably(fs, folder / "a", as_bytes("long content"), 0600));
    ASSERT_TRUE(write_file_durably(fs, folder / "a", as_bytes("short"), 0600));
    EXPECT_EQ(as_text(*read_file(fs, folder / "a", 100)), "short");
    EXPECT_EQ(fs.info(folder / "a")->mode, 0600U);
    EXPECT_EQ(read_file(fs, folder / "a", 4).error().code, ErrorCode::kLimit);
    EXPECT_EQ(read_file(fs, folder / "b", 4).error().code, ErrorCode::kNotFound);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kollator
