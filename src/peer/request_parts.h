#pragma once

#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

// Small things that the parts of Requests share.
namespace kollator::peer {

inline Error invalid(std::string what) {
    return make_error(ErrorCode::kInvalid, std::move(what));
}

/// REQUIRES: an encode(body, Bytes&) beside the body's type.
template <typename Body>
Bytes encoded(const Body& body) {
    Bytes out;
    encode(body, out);
    return out;
}

}  // namespace kollator::peer
