#pragma once

#include <fmt/format.h>

#include <string_view>

#include "base/result.h"

namespace kollator::protocol {

/// For decoders: "CHUNK_REQUEST of 39 bytes, 40 wanted".
inline Error wrong_size(std::string_view what, std::size_t size, std::size_t wanted) {
    return make_error(ErrorCode::kInvalid,
                      fmt::format("{} of {} bytes, {} wanted", what, size, wanted));
}

inline Error cut_short(std::string_view what, std::size_t size) {
    return make_error(ErrorCode::kInvalid, fmt::format("{} of {} bytes is cut short", what, size));
}

inline Error bad_value(std::string_view what, std::string_view field, std::uint64_t value) {
    return make_error(ErrorCode::kInvalid, fmt::format("{}: unknown {} {}", what, field, value));
}

}  // namespace kollator::protocol
