#include "session/fault.h"

#include "chunk/denylist.h"

namespace kollator::session {

using protocol::WireError;

Fault to_fault(const Error& error) {
    switch (error.code) {
        case ErrorCode::kNotFound:
            if (chunk::is_refusal(error)) return {WireError::kNotFound, error.detail};
            return {WireError::kNotFound, "neither cached nor in the object store"};
        case ErrorCode::kCorrupt:
            return {WireError::kHashMismatch, "the bytes do not match the name"};
        case ErrorCode::kUnavailable:
            return {WireError::kUnavailable, "the object store cannot be reached"};
        case ErrorCode::kTimeout:
            return {WireError::kUnavailable, "the object store did not answer in time"};
        case ErrorCode::kInvalid:
            return {WireError::kBadRequest, error.detail};
        case ErrorCode::kLimit:
            return {WireError::kBusy, "over a limit of this worker"};
        case ErrorCode::kCancelled:
            return {WireError::kCancelled, "cancelled"};
        case ErrorCode::kInternal:
            break;
    }
    return {WireError::kInternal, "a fault of the worker, logged there"};
}

bool advises_retry(WireError code) {
    return code == WireError::kBusy || code == WireError::kUnavailable;
}

}  // namespace kollator::session
