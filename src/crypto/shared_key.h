#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "base/file_system.h"
#include "base/random.h"
#include "base/result.h"

namespace kollator::crypto {

/// The secret by which workers and fronts know each other (protocol.md, section 5).
using SharedKey = std::array<std::uint8_t, 32>;

/// A file of exactly 32 bytes that only its owner can read. kNotFound; kInvalid: wrong length, or
/// readable by others (the detail says the chmod that mends it).
Result<SharedKey> load_shared_key(FileSystem& fs, const std::filesystem::path& path);

/// Writes a new key durably, mode 0600. An existing file is replaced.
Status write_new_shared_key(FileSystem& fs, Random& random, const std::filesystem::path& path);

}  // namespace kollator::crypto
