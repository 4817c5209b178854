#pragma once

#include <filesystem>

#include "base/result.h"
#include "bench/cache_sim/trace.h"

namespace kollator::bench {

/// A trace in libCacheSim's formats, by the file's name: "*.oracleGeneral" or "*.oracleGeneral.bin"
/// (24-byte little-endian records: time u32, object u64, size u32, next access i64), or "*.csv"
/// with lines "time,object,size" (a first line that begins with no digit is a heading; objects may
/// be any text). kInvalid names the record or the line that is wrong.
Result<Trace> read_trace(const std::filesystem::path& path);

}  // namespace kollator::bench
