#include "bench/cache_sim/trace_file.h"

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "base/siphash.h"

namespace kollator::bench {
namespace {

constexpr std::size_t kRecordBytes = 24;

template <typename T>
T little_endian(const char* at) {
    T value = 0;
    for (std::size_t n = sizeof(T); n > 0; --n) {
        value = static_cast<T>(value << 8) | static_cast<unsigned char>(at[n - 1]);
    }
    return value;
}

TimePoint at_second(std::uint64_t second) {
    return TimePoint{} + std::chrono::seconds(second);
}

cache::PolicyKey key_of(std::string_view name) {
    return siphash(ByteSpan(reinterpret_cast<const std::uint8_t*>(name.data()), name.size()));
}

Result<Trace> read_oracle_general(std::ifstream& file) {
    Trace trace;
    std::array<char, kRecordBytes> record;
    while (file.read(record.data(), record.size())) {
        const auto bytes = little_endian<std::uint32_t>(&record[12]);
        trace.requests.push_back({.at = at_second(little_endian<std::uint32_t>(record.data())),
                                  .key = key_of({&record[4], 8}),
                                  .bytes = std::max(bytes, 1U)});
    }
    if (file.gcount() != 0) {
        return make_error(ErrorCode::kInvalid,
                          "record " + std::to_string(trace.requests.size() + 1) + " is cut short");
    }
    return trace;
}

bool parse_number(std::string_view text, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

Result<Trace> read_csv(std::ifstream& file) {
    Trace trace;
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        const std::string_view text = line;
        if (text.empty() || (number == 1 && (text[0] < '0' || text[0] > '9'))) continue;
        const std::size_t first = text.find(',');
        const std::size_t second = text.find(',', first == text.npos ? first : first + 1);
        std::uint64_t time = 0;
        std::uint64_t bytes = 0;
        if (second == text.npos || !parse_number(text.substr(0, first), time) ||
            !parse_number(text.substr(second + 1), bytes)) {
            return make_error(ErrorCode::kInvalid,
                              "line " + std::to_string(number) + ": expected time,object,size");
        }
        trace.requests.push_back({.at = at_second(time),
                                  .key = key_of(text.substr(first + 1, second - first - 1)),
                                  .bytes = std::max<std::uint64_t>(bytes, 1)});
    }
    return trace;
}

}  // namespace

Result<Trace> read_trace(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return make_error(ErrorCode::kNotFound, "cannot open " + path.string());
    auto trace = path.extension() == ".csv" ? read_csv(file) : read_oracle_general(file);
    if (!trace) return make_error(ErrorCode::kInvalid, path.string() + ": " + trace.error().detail);
    trace->name = path.filename().string();
    return trace;
}

}  // namespace kollator::bench
