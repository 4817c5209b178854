#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kollator::protocol {

/// What JSON from strangers may cost (design.md, decision 10).
struct JsonLimits {
    std::size_t max_bytes = 64 * 1024;
    /// Arrays and objects within each other: 1 allows `[]`, 0 only a bare value. nlohmann-json
    /// prints recursively, so that an unbounded depth would end on the stack's guard page.
    std::size_t max_depth = 32;
};

/// Parses one JSON value (RFC 8259). Never throws. kLimit: too long or too deep; kInvalid: no JSON,
/// or not UTF-8. Where an object names a member twice, the last one counts.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// The same, and kInvalid where the value is no object.
Result<nlohmann::json> parse_json_object(std::string_view text, const JsonLimits& limits = {});

/// Compact text. Never throws: bytes that are not UTF-8 are replaced by U+FFFD.
std::string to_json_text(const nlohmann::json& value);

// Members of an object, without the exceptions of nlohmann's own accessors. Empty (or null) where
// `object` is none, the member is missing, or its type is another.
const nlohmann::json* find_member(const nlohmann::json& object, const char* name);
const std::string* find_string(const nlohmann::json& object, const char* name);
std::optional<std::uint64_t> find_unsigned(const nlohmann::json& object, const char* name);
std::optional<std::int64_t> find_integer(const nlohmann::json& object, const char* name);
std::optional<bool> find_bool(const nlohmann::json& object, const char* name);

}  // namespace kollator::protocol
