#include "store/s3/verdict.h"

#include <algorithm>

namespace kollator::store::s3 {
namespace {

struct Rule {
    std::string_view code;
    Verdict verdict;
    std::string_view advice = {};
};

constexpr Verdict kWrong{Action::kFail, ErrorCode::kInvalid};
constexpr Verdict kBusy{Action::kRetrySlower, ErrorCode::kUnavailable};
constexpr Verdict kAgain{Action::kRetry, ErrorCode::kUnavailable};
/// Bytes that did not arrive as we sent them; ours were verified, so they may arrive next time.
constexpr Verdict kDamagedOnTheWay{Action::kRetry, ErrorCode::kCorrupt};

constexpr Rule kRules[] = {
    {"NoSuchKey", {Action::kFail, ErrorCode::kNotFound}},
    {"NoSuchBucket", kWrong, "the bucket does not exist: check S3_BUCKET"},
    {"PermanentRedirect", kWrong, "the bucket is elsewhere: check S3_ENDPOINT and S3_REGION"},
    {"AuthorizationHeaderMalformed", kWrong, "check S3_REGION"},
    {"InvalidAccessKeyId", kWrong, "the server does not know the key: check S3_ACCESS_KEY"},
    {"SignatureDoesNotMatch", kWrong, "the secret is wrong: check S3_SECRET_KEY"},
    {"AccessDenied", kWrong, "the key may not do this: check its rights on the bucket"},
    {"ExpiredToken", kWrong, "the session token has expired"},
    {"InvalidToken", kWrong, "the session token is wrong"},
    {"InvalidRange", kWrong, "the range begins past the object's end"},
    {"EntityTooLarge", {Action::kFail, ErrorCode::kLimit}},
    {"QuotaExceeded",
     {Action::kFail, ErrorCode::kLimit},
     "the bucket's or user's quota is used up"},
    {"XAmzContentSHA256Mismatch", kDamagedOnTheWay},
    {"BadDigest", kDamagedOnTheWay},
    {"IncompleteBody", kDamagedOnTheWay},
    {"SlowDown", kBusy},
    {"RequestRateLimitExceeded", kBusy},
    {"TooManyRequests", kBusy},
    {"ThrottlingException", kBusy},
    {"InternalError", kAgain},
    {"ServiceUnavailable", kBusy},
    {"OperationAborted", kAgain},
    {"ConditionalRequestConflict", kAgain},
    {"RequestTimeout", {Action::kRetry, ErrorCode::kTimeout}},
    {"RequestTimeTooSkewed",
     {Action::kCorrectClock, ErrorCode::kInvalid},
     "this machine's clock is wrong"},
};

const Rule* rule_for(std::string_view code) {
    const auto* const found = std::find_if(std::begin(kRules), std::end(kRules),
                                           [&](const Rule& rule) { return rule.code == code; });
    return found == std::end(kRules) ? nullptr : found;
}

Verdict judge_fault(Fault fault) {
    switch (fault) {
        case Fault::kTimeout:
            return {Action::kRetry, ErrorCode::kTimeout};
        case Fault::kTruncated:
            return {Action::kRetry, ErrorCode::kCorrupt};
        case Fault::kTooLarge:
        case Fault::kNoMemory:
            return {Action::kFail, ErrorCode::kLimit};
        case Fault::kTls:
        case Fault::kMisconfigured:
        case Fault::kNoLength:
            return {Action::kFail, ErrorCode::kInvalid};
        case Fault::kNone:
        case Fault::kUnreachable:
            break;
    }
    return kAgain;
}

Verdict judge_status(const Attempt& attempt) {
    switch (attempt.status) {
        case 404:
            // A page that is no S3 error comes from something between: it knows nothing of objects.
            return attempt.has_text ? kAgain : Verdict{Action::kFail, ErrorCode::kNotFound};
        case 403:
            // A HEAD has no error document: the clock is judged by the Date alone.
            return attempt.clock_is_off ? Verdict{Action::kCorrectClock, ErrorCode::kInvalid}
                                        : kWrong;
        case 408:
            return {Action::kRetry, ErrorCode::kTimeout};
        case 409:
        case 500:
        case 502:
        case 504:
            return kAgain;
        case 429:
        case 503:
            return kBusy;
        case 413:
            return {Action::kFail, ErrorCode::kLimit};
        default:
            return attempt.status >= 500 && attempt.status != 501 && attempt.status != 505 ? kAgain
                                                                                           : kWrong;
    }
}

/// What servers that do not know conditional writes say of them.
bool refuses_the_condition(const Attempt& attempt) {
    if (!attempt.conditional) return false;
    // A 412 that does not say what failed may come from anything between: a PUT without the
    // condition does no harm, an acknowledged chunk that is not there does.
    if (attempt.status == 412) return attempt.code != "PreconditionFailed";
    if (attempt.conditions_known) return false;
    if (attempt.status == 501 || attempt.code == "NotImplemented") return true;
    return attempt.status == 400 && (attempt.code.empty() || attempt.code == "InvalidArgument" ||
                                     attempt.code == "InvalidRequest");
}

}  // namespace

std::string_view to_string(Method method) {
    switch (method) {
        case Method::kGet:
            return "GET";
        case Method::kHead:
            return "HEAD";
        case Method::kPut:
            return "PUT";
        case Method::kDelete:
            break;
    }
    return "DELETE";
}

Verdict judge(const Attempt& attempt) {
    if (attempt.fault != Fault::kNone) return judge_fault(attempt.fault);
    if (attempt.status >= 200 && attempt.status < 300) {
        // Every S3 server names the ETag of what it has stored. A 200 without one is somebody
        // else's, and to believe it would lose an acknowledged chunk.
        const bool is_promise = attempt.method == Method::kPut || attempt.method == Method::kHead;
        const bool believed = !is_promise || attempt.has_etag;
        return believed ? Verdict{Action::kSucceed, {}} : kAgain;
    }
    if (refuses_the_condition(attempt)) {
        return {Action::kRetryUnconditional, ErrorCode::kUnavailable};
    }
    if (attempt.status == 412 && attempt.conditional) return {Action::kAlreadyThere, {}};
    const Rule* const rule = rule_for(attempt.code);
    const Verdict verdict = rule != nullptr ? rule->verdict : judge_status(attempt);
    if (attempt.method == Method::kDelete && verdict.error == ErrorCode::kNotFound) {
        return {Action::kSucceed, {}};
    }
    return verdict;
}

bool is_outage(const Attempt& attempt, const Verdict& verdict) {
    switch (attempt.fault) {
        case Fault::kUnreachable:
        case Fault::kTimeout:
        case Fault::kTruncated:
        case Fault::kTls:
        case Fault::kMisconfigured:
            return true;
        case Fault::kNone:
            break;
        case Fault::kTooLarge:
        case Fault::kNoMemory:
        case Fault::kNoLength:
            return false;
    }
    return attempt.status >= 500 && verdict.action == Action::kRetry;
}

std::string_view advice_for(std::string_view code) {
    const Rule* const rule = rule_for(code);
    return rule != nullptr ? rule->advice : std::string_view();
}

Duration backoff(int attempt, Duration base, Duration cap, Random& random) {
    Duration most = base;
    for (int i = 2; i < attempt && most < cap; ++i) most *= 2;
    most = std::min(most, cap);
    return Duration(static_cast<Duration::rep>(
        random.u64() % (static_cast<std::uint64_t>(std::max<Duration::rep>(most.count(), 0)) + 1)));
}

}  // namespace kollator::store::s3
