#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace kollator::http {

/// What a request line asks for, decoded.
struct Target {
    std::string path;
    Fields query;
};

inline constexpr std::size_t kMaxTargetBytes = 8 * 1024;  ///< RFC 9110 4.1 wants 8000 at least
inline constexpr std::size_t kMaxQueryFields = 64;

/// Parses a request target: origin form ("/a?b=c"), absolute form ("http://host/a"), or "*" (which
/// becomes the path "*"). kInvalid: a bad escape, a NUL or control character, a path that climbs
/// ("." or ".." segments, encoded or not), too long, too many fields.
Result<Target> parse_target(std::string_view target);

/// Decodes %XX; with `plus_is_space`, '+' too. kInvalid: a bad escape or a control character.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace kollator::http
