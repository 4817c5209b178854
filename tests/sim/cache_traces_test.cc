// The traces that bench/cache_sim measures the cache's policies on: the files that it reads, and
// the models that it makes.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "bench/cache_sim/trace.h"
#include "bench/cache_sim/trace_file.h"
#include "tests/support/temp_folder.h"

namespace kollator::bench {
namespace {

class TraceFileTest : public testing::Test {
 protected:
    Result<Trace> read(const std::string& name, const std::string& content) {
        const auto path = folder_.path() / name;
        std::ofstream(path, std::ios::binary) << content;
        return read_trace(path);
    }
    static std::string number(std::uint64_t value, std::size_t bytes) {
        std::string text;
        for (std::size_t n = 0; n < bytes; ++n) text.push_back(static_cast<char>(value >> 8 * n));
        return text;
    }
    /// libCacheSim's record: time, object, size, when it is asked for next; little-endian, packed.
    static std::string record(std::uint32_t time, std::uint64_t object, std::uint32_t size) {
        return number(time, 4) + number(object, 8) + number(size, 4) + number(~0ULL, 8);
    }

    testing_support::TempFolder folder_;
};

TEST_F(TraceFileTest, ReadsOracleGeneral) {
    const auto trace = read("a.oracleGeneral", record(5, 77, 1000) + record(6, 78, 0) +
                                                   record(0xFFFFFFFF, 77, 0xFFFFFFFF));
    ASSERT_TRUE(trace.ok()) << trace.error().detail;
    ASSERT_EQ(trace->requests.size(), 3U);
    EXPECT_EQ(trace->name, "a.oracleGeneral");
    EXPECT_EQ(trace->requests[0].at, TimePoint{} + std::chrono::seconds(5));
    EXPECT_EQ(trace->requests[0].bytes, 1000U);
    EXPECT_EQ(trace->requests[1].bytes, 1U) << "nothing is as small as nothing";
    EXPECT_EQ(trace->requests[2].bytes, 0xFFFFFFFFU);
    EXPECT_EQ(trace->requests[2].at, TimePoint{} + std::chrono::seconds(0xFFFFFFFF));
    EXPECT_EQ(trace->requests[0].key, trace->requests[2].key);
    EXPECT_NE(trace->requests[0].key, trace->requests[1].key);
    EXPECT_EQ(trace->distinct(), 2U);
}

TEST_F(TraceFileTest, AnOracleGeneralThatIsCutShortIsRefused) {
    const std::string two = record(1, 1, 1) + record(2, 2, 2);
    for (std::size_t length = 0; length <= two.size(); ++length) {
        const auto trace = read("b.oracleGeneral.bin", two.substr(0, length));
        EXPECT_EQ(trace.ok(), length % 24 == 0) << length;
        if (!trace) {
            EXPECT_NE(trace.error().detail.find(length < 24 ? "record 1" : "record 2"),
                      std::string::npos);
        }
    }
}

TEST_F(TraceFileTest, ReadsCsvWithAndWithoutAHeading) {
    for (const char* heading : {"", "time,object,size\n"}) {
        const auto trace = read(
            "c.csv", std::string(heading) + "1,some name,10\n\n2,17,20\r\n" + "3,some name,10");
        ASSERT_TRUE(trace.ok()) << trace.error().detail;
        ASSERT_EQ(trace->requests.size(), 3U);
        EXPECT_EQ(trace->requests[1].bytes, 20U);
        EXPECT_EQ(trace->requests[0].key, trace->requests[2].key);
        EXPECT_EQ(trace->footprint_bytes(), 30U);
    }
}

TEST_F(TraceFileTest, ALineThatIsWrongIsNamed) {
    for (const char* line :
         {"x,1,1", "1,1", "1,1,", "1,1,x", "1,1,-5", "1,1,1,1", "1", "1,1,99999999999999999999"}) {
        const auto trace = read("d.csv", std::string("1,1,1\n") + line + "\n");
        ASSERT_FALSE(trace.ok()) << line;
        EXPECT_EQ(trace.error().code, ErrorCode::kInvalid);
        EXPECT_NE(trace.error().detail.find("line 2"), std::string::npos) << trace.error().detail;
    }
}

TEST_F(TraceFileTest, AFileThatIsNotThereIsNotFound) {
    EXPECT_EQ(read_trace(folder_.path() / "none.csv").error().code, ErrorCode::kNotFound);
    const auto empty = read("empty.csv", "");
    ASSERT_TRUE(empty.ok());
    EXPECT_TRUE(empty->requests.empty());
}

TEST(TraceModels, AreTheSameForTheSameSeed) {
    const Trace one = sequential_trace(100, 2000, 10, 7);
    const Trace same = sequential_trace(100, 2000, 10, 7);
    const Trace other = sequential_trace(100, 2000, 10, 8);
    const auto keys = [](const Trace& trace) {
        std::vector<cache::PolicyKey> all;
        for (const Request& request : trace.requests) all.push_back(request.key);
        return all;
    };
    EXPECT_EQ(keys(one), keys(same));
    EXPECT_NE(keys(one), keys(other));
}

TEST(TraceModels, SequentialReadersGoThroughTheirFilesInOrder) {
    const Trace trace = sequential_trace(50, 5000, 10, 1);
    std::map<cache::PolicyKey, std::pair<std::size_t, std::size_t>> places;
    for (std::size_t file = 0; file < trace.files.size(); ++file) {
        for (std::size_t n = 0; n < trace.files[file].size(); ++n) {
            places[trace.files[file][n]] = {file, n};
        }
    }
    std::map<cache::ReaderId, std::pair<std::size_t, std::size_t>> readers;
    TimePoint last{};
    for (const Request& request : trace.requests) {
        EXPECT_GE(request.at, last);
        last = request.at;
        const auto place = places.at(request.key);
        const auto known = readers.find(request.reader);
        if (known == readers.end()) {
            EXPECT_EQ(place.second, 0U) << "from the beginning";
        } else {
            EXPECT_EQ(place.first, known->second.first);
            EXPECT_EQ(place.second, known->second.second + 1);
        }
        readers[request.reader] = place;
    }
}

TEST(TraceModels, NobodyFetchesTwiceWhatIsFetchedOnce) {
    const Trace trace = fetch_once_trace(1000, 20, 1500, 1);
    std::map<cache::PolicyKey, std::size_t> counts;
    for (const Request& request : trace.requests) ++counts[request.key];
    for (const auto& [key, count] : counts) EXPECT_LE(count, 20U);
}

}  // namespace
}  // namespace kollator::bench
