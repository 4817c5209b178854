#include "base/result.h"

namespace kollator {

std::string_view to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::kNotFound:
            return "not-found";
        case ErrorCode::kCorrupt:
            return "corrupt";
        case ErrorCode::kUnavailable:
            return "unavailable";
        case ErrorCode::kTimeout:
            return "timeout";
        case ErrorCode::kInvalid:
            return "invalid";
        case ErrorCode::kLimit:
            return "limit";
        case ErrorCode::kCancelled:
            return "cancelled";
        case ErrorCode::kInternal:
            return "internal";
    }
    return "unknown";
}

}  // namespace kollator
