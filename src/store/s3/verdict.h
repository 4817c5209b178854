#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"

namespace kollator::store::s3 {

enum class Method : std::uint8_t { kGet, kHead, kPut, kDelete };
std::string_view to_string(Method method);

/// How an exchange failed before or beside HTTP; kNone where a whole answer came.
enum class Fault : std::uint8_t {
    kNone,
    kUnreachable,    ///< refused, reset, no such host, no route
    kTimeout,        ///< connect, stall or total
    kTruncated,      ///< the body ended before its length
    kTls,            ///< certificate, CA file, handshake
    kTooLarge,       ///< over the caller's limit; nothing of the body was kept
    kNoMemory,       ///< the caller's budget is used up
    kNoLength,       ///< a body without Content-Length
    kMisconfigured,  ///< what libcurl refuses to try
};

/// What one attempt came to.
struct Attempt {
    Method method = Method::kGet;
    Fault fault = Fault::kNone;
    int status = 0;
    std::string code;               ///< of the error document; may be empty
    bool has_text = false;          ///< an error's body is not empty
    bool has_etag = false;          ///< the answer names the object's ETag
    bool conditional = false;       ///< sent with If-None-Match: *
    bool conditions_known = false;  ///< this server has kept such a condition before
    bool clock_is_off = false;      ///< the server's Date is far from ours
};

/// What to do about it.
enum class Action : std::uint8_t {
    kSucceed,
    kAlreadyThere,
    kFail,
    kRetry,
    kRetrySlower,         ///< and send less at once
    kCorrectClock,        ///< and retry, once
    kRetryUnconditional,  ///< without If-None-Match
};

struct Verdict {
    Action action = Action::kFail;
    ErrorCode error = ErrorCode::kInternal;  ///< where it fails, or no retry is left
    bool operator==(const Verdict&) const = default;
};

/// Decides by the error document's Code first, then by the status: providers differ in their
/// statuses (Wasabi answers a rate limit with 400), hardly in their codes.
Verdict judge(const Attempt& attempt);

/// Whether the server is out of reach or out of order, which is what opens the circuit; a refusal
/// of whatever kind, and being told to slow down, say that it is there.
bool is_outage(const Attempt& attempt, const Verdict& verdict);

/// For people: what an operator should look at for a code; empty where we know nothing.
std::string_view advice_for(std::string_view code);

/// How long to wait before attempt `attempt` (2 is the first retry): uniformly between zero and
/// `base` doubled for each attempt after that, at most `cap` ("full jitter").
Duration backoff(int attempt, Duration base, Duration cap, Random& random);

}  // namespace kollator::store::s3
