#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kollator::crypto {

/// RFC 4648 4, padded.
std::string base64(ByteSpan bytes);

/// RFC 4648 5, without padding.
std::string base64url(ByteSpan bytes);

/// Of base64url without padding. Empty where a character is none of its alphabet, or the length or
/// the last bits are such as base64url() never writes.
std::optional<Bytes> from_base64url(std::string_view text);

}  // namespace kollator::crypto
