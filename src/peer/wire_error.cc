#include "peer/wire_error.h"

#include <algorithm>
#include <string>

namespace kollator::peer {
namespace {

using protocol::WireError;

constexpr std::size_t kMaxWordsBytes = 256;

ErrorCode code_of(WireError code) {
    switch (code) {
        case WireError::kNotFound:
            return ErrorCode::kNotFound;
        case WireError::kHashMismatch:
            return ErrorCode::kCorrupt;
        case WireError::kBusy:
        case WireError::kQuota:
            return ErrorCode::kLimit;
        case WireError::kUnavailable:
            return ErrorCode::kUnavailable;
        case WireError::kCancelled:
            return ErrorCode::kCancelled;
        case WireError::kInternal:
            return ErrorCode::kInternal;
        case WireError::kBadRequest:
        case WireError::kTooLarge:
        case WireError::kUnauthorized:
        case WireError::kUnsupported:
            return ErrorCode::kInvalid;
    }
    return ErrorCode::kInvalid;  // a number that this version does not know
}

/// A stranger's words, for a log or a terminal.
std::string printable(std::string_view words) {
    std::string text(words.substr(0, kMaxWordsBytes));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return text;
}

}  // namespace

Error to_error(const protocol::ErrorBody& refusal) {
    std::string detail(protocol::to_string(refusal.code));
    if (!refusal.message.empty()) detail += ": " + printable(refusal.message);
    return make_error(code_of(refusal.code), std::move(detail));
}

}  // namespace kollator::peer
